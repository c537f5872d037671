"""All shards of a dataset, made by whatever makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from mfr import atomic
from mfr.abreast import batches_at_once, in_order
from mfr.benchmark.embedding import by_path, take_rows
from mfr.data.manifest import Manifest
from mfr.devices import usable_device
from mfr.embedding_shards.shard import ModelName, Shard, encoder_of, is_done, make
from mfr.errors import DataError
from mfr.models import DEFAULT, lasting_name

ROWS: Final = 1024
"""Of a shard: a minute's work or less."""

Maker: TypeAlias = Callable[[Iterable[Shard]], Iterator[int]]
"""Makes shards and gives, as each is done, how many rows it has."""


@dataclass(frozen=True)
class Embedded:
    """What an embedding of a dataset did.

    Attributes:
        images: in all files.
        already: that were there before.
        without_crop: images of the dataset that were left out, as no face is cut out of them.
        files: their number.
    """

    images: int
    already: int
    without_crop: int
    files: int


def embed_dataset(
    root: str | Path,
    out: str | Path,
    *,
    model: str = DEFAULT,
    backbone: str | None = None,
    domains: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    device: str = "cpu",
    make_all: Maker | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Embedded:
    """Embed the crops of a dataset into Parquet files of up to `ROWS` rows.

    The same dataset gives the same files, whoever makes them and however often the work is stopped:
    the next call makes those that are missing. A row has the columns of a gallery's table
    (`mfr.gallery.table`), its identity being the manifest's person, and ``domain`` and ``split``.

    Args:
        root: the dataset's directory.
        out: the directory of the files, ``part-00000.parquet`` and so on.
        model: the name of a pretrained model, or the path of a model file or checkpoint.
        backbone: the network of another program's checkpoint.
        domains: whose images; all by default.
        splits: likewise.
        device: where to compute.
        make_all: makes the shards; this machine's cores by default.
        on_progress: called with the number of images done and their total.

    Raises:
        DataError: there is no such dataset or nothing in it to embed, a crop is damaged, or ``out``
            holds something else.
        ModelError: the model cannot be used.
        WriteError: the disk is full or the place not writable; whole files are kept.
    """
    root, out = Path(root).absolute(), Path(out).absolute()
    chosen = Manifest.read(root).where(domains=domains, splits=splits)
    rows = by_path(chosen.where(cropped=True))
    if not len(rows):
        raise DataError(f"{root} has no crops to embed there: run 'mfr data align' first.")
    name = ModelName(lasting_name(model), backbone, device)
    model_hash = encoder_of(name).model_hash
    atomic.check_directory(out.parent)
    out.mkdir(exist_ok=True)
    atomic.remove_unfinished(out)
    shards = [
        Shard(
            # A slice would be sent with all that it is a slice of.
            replace(take_rows(rows, own), notes={}),
            name,
            out / f"part-{number:05d}.parquet",
        )
        for number, own in enumerate(_parts(len(rows)))
    ]
    strange = {path.name for path in out.iterdir()} - {shard.path.name for shard in shards}
    if strange:
        raise DataError(
            f"{out} holds {min(strange)}, which is not of these embeddings: choose another --out."
        )
    missing = [shard for shard in shards if not is_done(shard, model_hash)]
    already = done = len(rows) - sum(len(shard.manifest) for shard in missing)
    on_progress(done, len(rows))
    for count in (make_all or _here(device))(missing):
        done += count
        on_progress(done, len(rows))
    atomic.remove_unfinished(out)  # of machines that were lost
    return Embedded(done, already, len(chosen) - len(rows), len(shards))


def _parts(count: int) -> list[range]:
    return [range(start, min(start + ROWS, count)) for start in range(0, count, ROWS)]


def _here(device: str) -> Maker:
    def make_all(shards: Iterable[Shard]) -> Iterator[int]:
        with closing(in_order(make, shards, batches_at_once(usable_device(device)))) as counts:
            yield from counts

    return make_all
