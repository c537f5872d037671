"""A synthetic world on disk: drawn in parallel, in bounded memory, resumable after any kill.

The work is divided into units, each of which is a block of identities in one domain. A unit's
images are written first and its rows of truth last, in ``synth.parts/``; a unit that has rows is
done. When all units are done, their rows go into the manifest and into ``synth.parquet``. An image
depends only on (seed, identity, domain, number), so that an image drawn again after a kill has the
same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_tools.appending import append_rows
from data_tools.drawing_processes import done_by_processes
from data_tools.locking import synthesising_alone
from data_tools.synth import truth
from data_tools.synth.domains import DOMAINS, Domain
from data_tools.synth.photograph import person, photograph
from mfr import atomic
from mfr.cpus import usable_cpus
from mfr.data.inside import inside
from mfr.data.manifest_file import FILE_NAME as MANIFEST
from mfr.data.manifest_file import ROWS_A_GROUP, ManifestFile, in_groups
from mfr.data.manifest_file import SCHEMA as MANIFEST_SCHEMA
from mfr.errors import ConfigError, DataError
from mfr.png import write_png_unflushed

BLOCK: Final = 16
"""The number of identities in a unit of work and in a directory."""
VERSION: Final = 2
"""The version of the world, raised when the same seed would give other images (2: taut masks)."""
_PARTS: Final = "synth.parts"
_NOTE: Final = "Synthetic faces drawn by 'mfr data synth'; they show no real person."


@dataclass(frozen=True)
class SynthResult:
    """What the dataset holds after a run.

    Attributes:
        drawn: the number of images drawn in this run.
        images: the number of synthetic images in the dataset.
        identities: the number of synthetic people.
        domains: the names of the domains that are drawn.
    """

    drawn: int
    images: int
    identities: int
    domains: list[str]


@dataclass(frozen=True)
class _Unit:
    """One block of identities in one domain."""

    root: Path
    domain: Domain
    block: int
    seed: int
    numbers: range
    images: int
    photo_size: int | None

    @property
    def part(self) -> Path:
        return self.root / _PARTS / self.domain.name / f"{self.block:06d}.parquet"

    @property
    def size(self) -> int:
        return len(self.numbers) * self.images


def synthesise(
    root: str | Path,
    *,
    identities: int,
    images: int,
    domains: Sequence[str | Domain],
    seed: int = 0,
    photo_size: int | None = None,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SynthResult:
    """Draw a dataset with ``images`` images of each of ``identities`` people in each domain.

    The same arguments give the same bytes, and continue a run that was stopped; other domains may
    be added to a world later. Crops are 112 x 112 and have the alignment 'given'; photos are to be
    aligned by 'mfr data align'. The truth of every image is recorded in ``root/synth.parquet``.

    Args:
        root: the dataset's directory, created if it does not exist.
        identities: the number of people, at least 1.
        images: the number of images of each person in each domain, at least 1.
        domains: names of `domains.DOMAINS`, or domains of your own.
        seed: the seed of the world, 0 to 2^63 - 1.
        photo_size: the side in pixels, 96 to 1024, of photos to draw instead of crops.
        processes: the number of worker processes, by default one for each usable processor; with
            1 the calling process draws.
        on_progress: called with the number of images done and their total.

    Raises:
        ConfigError: an argument is out of its range, or a domain is unknown.
        DataError: the directory holds another world or other photos in one of these domains, or
            another synthesis is running in it.
        WriteError: the disk is full or not writable; finished units are kept.
    """
    root = Path(root)
    chosen = _check(identities, images, domains, seed, photo_size, processes)
    world = {
        "version": VERSION,
        "seed": seed,
        "identities": identities,
        "images": images,
        "photo_size": photo_size,
    }
    with synthesising_alone(root):
        inside(root, _PARTS)
        present = _present(root, world, chosen)
        missing = [domain for domain in chosen if domain.name not in present]
        if missing:
            settings = root / _PARTS / "world.json"
            atomic.write_text(settings, json.dumps(world))
        units = [
            _Unit(root, domain, block, seed, numbers, images, photo_size)
            for domain in missing
            for block, start in enumerate(range(0, identities, BLOCK))
            for numbers in [range(start, min(start + BLOCK, identities))]
        ]
        todo = [unit for unit in units if not unit.part.exists()]
        total = sum(unit.size for unit in todo)
        done = 0
        on_progress(done, total)
        workers = processes or usable_cpus()
        for drawn in done_by_processes(_draw, todo, workers, what="faces"):
            done += drawn
            on_progress(done, total)
        if missing:
            names = [domain.name for domain in missing]
            _publish(root, world, [unit.part for unit in units], names)
            shutil.rmtree(root / _PARTS)
        names = sorted({*present, *(domain.name for domain in missing)})
    return SynthResult(done, identities * images * len(names), identities, names)


def identity_name(seed: int, number: int) -> str:
    """The name of a synthetic person, both as identity and as person; the same in every domain."""
    return f"synth{seed}-{number:06d}"


def _draw(unit: _Unit) -> int:
    """Draw and write one unit, its rows last, and return the number of its rows."""
    kind = "crops" if unit.photo_size is None else "photos"
    rows = []
    for number in unit.numbers:
        who, name = person(unit.seed, number), identity_name(unit.seed, number)
        folder = Path(kind, unit.domain.name, f"{unit.block:05d}", name)
        for image in range(unit.images):
            taken = photograph(who, unit.domain, image, photo_size=unit.photo_size)
            path = str(folder / f"{image:04d}.png")
            write_png_unflushed(inside(unit.root, path), taken.image, compression=2)
            crop = unit.photo_size is None
            rows.append(truth.truth_row(path, name, unit.domain.name, number, image, taken, crop))
    # All images of the unit are flushed at once, because flushing each alone would take longer than
    # drawing it. The rows are written only then, so that a torn image is drawn again.
    os.sync()
    with atomic.replacing(unit.part) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=truth.SCHEMA), temporary)
    return len(rows)


def _present(root: Path, world: dict[str, Any], chosen: Sequence[Domain]) -> set[str]:
    """The domains of this world that are already complete.

    Raises:
        DataError: the directory holds another world, or other photos in one of these domains.
    """
    complete: set[str] = set()
    if (path := root / truth.FILE_NAME).exists():
        try:
            with pq.ParquetFile(path) as file:
                made = json.loads(file.schema_arrow.metadata[b"synth"])
                for batch in file.iter_batches(ROWS_A_GROUP, columns=["domain"]):
                    complete |= set(batch["domain"].unique().to_pylist())
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path) from error
        _check_world(root, world, made)
    settings = root / _PARTS / "world.json"
    if settings.exists():
        _check_world(root, world, json.loads(settings.read_text()))
    if (root / MANIFEST).exists():
        names = pa.array([domain.name for domain in chosen])
        for rows in ManifestFile.open(root).tables(["domain", "source"]):
            ours = pc.fill_null(pc.starts_with(rows["source"], "synth "), False)
            strange = pc.and_not(pc.is_in(rows["domain"], value_set=names), ours)
            if pc.any(strange).as_py():
                domain = rows["domain"].filter(strange)[0].as_py()
                raise DataError(
                    f"{root} has other photos in the domain '{domain}': choose another --out."
                )
    return complete


def _damaged(path: Path) -> DataError:
    return DataError(f"{path} is damaged: remove it and run the same command again.")


def _check_world(root: Path, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    for name, value in found.items():
        if wanted.get(name) != value:
            raise DataError(
                f"{root} holds a synthetic world with {name} {value}, not {wanted.get(name)}: give "
                "the same values to continue it, or choose another --out."
            )


def _publish(
    root: Path, world: dict[str, Any], parts: Sequence[Path], domains: Sequence[str]
) -> None:
    """Write the rows of all parts into the manifest, and append them to ``synth.parquet``."""

    def noted(notes: dict[str, Any]) -> dict[str, Any]:
        licences = {**notes.get("licences", {}), **dict.fromkeys(domains, _NOTE)}
        return {**notes, "licences": licences, "synth": world}

    def tables() -> Iterator[pa.Table]:
        return (_manifest_rows(rows, world) for rows in in_groups(_rows(parts)))

    append_rows(root, tables, notes=noted)
    path = root / truth.FILE_NAME
    sources = [path, *parts] if path.exists() else parts
    schema = truth.SCHEMA.with_metadata({"synth": json.dumps(world)})
    with (
        atomic.replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for table in in_groups(_rows(sources)):
            writer.write_table(table.replace_schema_metadata(schema.metadata))


def _rows(sources: Sequence[Path]) -> Iterator[pa.Table]:
    """Yield the truth in these files, in batches of rows."""
    for source in sources:
        try:
            with pq.ParquetFile(source) as file:
                for batch in file.iter_batches(ROWS_A_GROUP):
                    yield pa.Table.from_batches([batch]).replace_schema_metadata()
        except (OSError, pa.ArrowException) as error:
            raise _damaged(source) from error


def _manifest_rows(rows: pa.Table, world: dict[str, Any]) -> pa.Table:
    count = len(rows)
    crops = world["photo_size"] is None
    places = np.array(rows["landmarks"].to_pylist(), np.float32).reshape(count, 5, 2)
    given = {
        "path": rows["path"],
        "identity": rows["identity"],
        "domain": rows["domain"],
        "person": rows["identity"],
        "alignment": pa.array(["given" if crops else "pending"] * count),
        "source": pa.array([f"synth {world['seed']}"] * count),
    }
    if crops:
        given["crop"] = rows["path"]
        given["landmarks"] = rows["landmarks"]
        given["inter_ocular"] = pa.array(np.linalg.norm(places[:, 1] - places[:, 0], axis=1))
        given["blur"], given["brightness"] = rows["blur"], rows["brightness"]
    columns = [
        given[field.name].cast(field.type) if field.name in given else pa.nulls(count, field.type)
        for field in MANIFEST_SCHEMA
    ]
    return pa.Table.from_arrays(
        [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns],
        schema=MANIFEST_SCHEMA,
    )


def _check(
    identities: int,
    images: int,
    domains: Sequence[str | Domain],
    seed: int,
    photo_size: int | None,
    processes: int | None,
) -> list[Domain]:
    _require(
        1 <= identities <= 10_000_000, f"--identities {identities}: choose from 1 to 10 million."
    )
    _require(
        1 <= images <= 10_000, f"--images {images}: choose from 1 to 10 000 per person and domain."
    )
    _require(0 <= seed < 2**63, f"--seed {seed} is out of range: choose one from 0 to 2^63 - 1.")
    _require(
        photo_size is None or 96 <= photo_size <= 1024,
        f"--photo-size {photo_size}: choose from 96 to 1024 pixels, or leave it out for crops.",
    )
    _require(
        processes is None or processes >= 1,
        f"--processes {processes} is too few: choose at least 1.",
    )
    names = [one if isinstance(one, str) else one.name for one in domains]
    _require(bool(names), "No domain was named: name at least one with --domains.")
    _require(len(set(names)) == len(names), "A domain is named twice: name it once.")
    unknown = [one for one in domains if isinstance(one, str) and one not in DOMAINS]
    _require(
        not unknown,
        f"There is no synthetic domain '{', '.join(map(str, unknown))}': choose among "
        f"{', '.join(DOMAINS)}.",
    )
    return [DOMAINS[one] if isinstance(one, str) else one for one in domains]


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise ConfigError(sentence)
