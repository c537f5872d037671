"""The import of a pack, which checks its images and writes them unchanged, and can be resumed.

``DATASET/packs/<domain>/<name>-<fingerprint>/`` holds folders of `IMAGES_A_FOLDER` images, numbered
in the pack's order, and for each folder a file ``<folder>.rows.parquet``, which is written once all
images of the folder are on disk. A folder with this file is therefore complete, and an interrupted
import starts again with the first folder without one. The files remain, which makes importing the
pack a second time quick.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_tools.importing.adding import ImportResult, add_rows
from data_tools.importing.names import check_domain
from data_tools.importing.packs.limits import limited
from data_tools.importing.packs.pack import Pack, PackedImage
from data_tools.importing.people import read_people
from data_tools.locking import unpacking_alone
from mfr import atomic
from mfr.data.inside import inside
from mfr.data.manifest_file import FILE_NAME, SCHEMA, ManifestFile
from mfr.errors import DataError, ImageError
from mfr.faces.quality import measure_crop
from mfr.geometry import CROP_SIZE
from mfr.images import read_image

DIRECTORY: Final = "packs"

IMAGES_A_FOLDER: Final = 5000
"""The number of images in one folder, and so the most that are written again after a kill."""

_THREADS: Final = 4
_BYTES_AHEAD: Final = 256 * 2**20
_IMAGES_AHEAD: Final = 256
"""The limits on images that are read but not yet written: their number, and their total bytes
(which a single image may exceed)."""

_IMAGES_A_REPORT: Final = 100

_SUFFIXES: Final = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"RIFF": ".webp",
    b"BM": ".bmp",
    b"GIF8": ".gif",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}
"""The suffixes of files, by the first bytes of their format. Files of rarer formats get the suffix
'.image', which does not matter to readers of images."""

_COLUMNS: Final = (
    *("path", "identity", "domain", "alignment", "crop"),
    *("problem", "blur", "brightness", "source"),
)
_ROWS: Final = pa.schema([SCHEMA.field(name) for name in _COLUMNS])


@dataclass(frozen=True)
class PackResult(ImportResult):
    """What the import of a pack found and did.

    Attributes:
        crops: the number of images of 112 x 112 pixels, which count as aligned crops.
        photos: the number of images of other sizes, still to be aligned.
        damaged: the number of images that cannot be decoded; their rows give the reason.
    """

    crops: int = 0
    photos: int = 0
    damaged: int = 0


def import_pack(
    pack: Pack,
    root: str | Path,
    *,
    domain: str,
    people: str | Path | None = None,
    licence: str | None = None,
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> PackResult:
    """Unpack ``pack`` into the dataset ``root`` as one domain, without encoding its images again.

    Every image is decoded once as a check, and its bytes are written unchanged. Images of 112 x 112
    pixels count as aligned crops (their alignment is 'given', and the crop is the image itself);
    images of other sizes are photos to be aligned. An image that cannot be decoded is kept, and its
    row gives the reason. The import may be stopped at any moment, even by kill -9: the manifest is
    then as before, and the next call continues where this one stopped. Importing the same pack
    again adds nothing.

    Args:
        pack: the pack.
        root: the dataset's directory, created if it does not exist.
        domain: the domain's name. A domain can hold one pack only, because labels have no meaning
            outside their pack.
        people: a CSV file that joins the identities of one person (`read_people`).
        licence: a note kept in the manifest under ``notes['licences'][domain]``.
        on_progress: called with the number of images done and the total, or None if the total is
            unknown.

    Raises:
        DataError: the pack is damaged, the domain has images from elsewhere, or the same import
            is already under way.
        WriteError: the disk is full or not writable; the finished folders are kept.
    """
    check_domain(domain)
    root = Path(root)
    known = None if people is None else read_people(people)
    name = re.sub(r"[^\w.-]", "_", pack.path.resolve().stem)[:40]
    folder = f"{DIRECTORY}/{domain}/{name}-{pack.fingerprint()}"
    _refuse_mixing(root, domain, folder)
    with unpacking_alone(inside(root, folder)):
        unpacking = _Unpacking(pack, root, domain, folder, on_progress)
        result = add_rows(
            root,
            (
                row if person is None else {**row, "person": person}
                for row in unpacking.rows()
                for person in [pack.person(row["identity"], domain)]
            ),
            people=known,
            licence=licence,
            protocols=partial(pack.protocols, domain=domain) if pack.judges else None,
        )
    result = result.without(pack.leftovers)
    fields = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return PackResult(
        **fields,
        crops=unpacking.states["given"],
        photos=unpacking.states["pending"],
        damaged=unpacking.states["missed"],
    )


class _Unpacking:
    """An import under way, with the number of images so far in each state of alignment."""

    def __init__(
        self,
        pack: Pack,
        root: Path,
        domain: str,
        folder: str,
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        self.pack, self.root, self.domain, self.folder = pack, root, domain, folder
        self.on_progress = on_progress
        self.states = dict.fromkeys(("given", "pending", "missed"), 0)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of all images, beginning with those of folders completed by earlier calls.

        A folder with fewer than `IMAGES_A_FOLDER` images is the last one.
        """
        images: Iterator[PackedImage] | None = None
        done = 0
        for number in itertools.count():
            listed = self.root / self.folder / f"{number:05d}.rows.parquet"
            if images is None and listed.exists():
                rows = _read_rows(listed)
            else:
                images = images or itertools.islice(limited(self.pack), done, None)
                rows = self._write_folder(itertools.islice(images, IMAGES_A_FOLDER), number, done)
                if not done and not rows:
                    raise DataError(f"{self.pack.path} holds no images: name another pack.")
                _write_rows(listed, rows)
            done += len(rows)
            for row in rows:
                self.states[row["alignment"]] += 1
                yield row
            if len(rows) < IMAGES_A_FOLDER:
                self.on_progress(done, done)
                return

    def _write_folder(
        self, images: Iterator[PackedImage], number: int, first: int
    ) -> list[dict[str, Any]]:
        """Write the images of one folder and return their rows."""
        folder = f"{self.folder}/{number:05d}"
        try:
            inside(self.root, folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise atomic.write_error(self.root / folder, error) from error
        names = (f"{folder}/{position:09d}" for position in itertools.count(first))
        rows = []
        for row in _in_order(self._write, zip(images, names, strict=False)):
            rows.append(row)
            if len(rows) % _IMAGES_A_REPORT == 0:
                self.on_progress(first + len(rows), self.pack.total)
        return rows

    def _write(self, image: PackedImage, name: str) -> dict[str, Any]:
        """Check and write one image and return its row; `_write_rows` flushes it to the disk."""
        row: dict[str, Any] = {
            "identity": image.identity,
            "domain": self.domain,
            "source": image.source,
        }
        try:
            pixels = read_image(image.data)
        except ImageError as error:
            row |= {"path": f"{name}.damaged", "alignment": "missed"}
            row["problem"] = str(error).replace("The given image", row["path"])
            if self.pack.whole:
                raise DataError(
                    f"{self.pack.path} has a damaged image, number {int(Path(name).name)}: copy "
                    "the pack again from its source."
                ) from error
        else:
            row |= {"path": name + _suffix(image.data), "alignment": "pending"}
            if pixels.shape == (CROP_SIZE, CROP_SIZE, 3):
                blur, brightness = measure_crop(pixels)
                row |= {"alignment": "given", "crop": row["path"]}
                row |= {"blur": blur, "brightness": brightness}
        atomic.write_unflushed(self.root / row["path"], image.data)
        return row


def _in_order(
    write: Callable[[PackedImage, str], dict[str, Any]],
    images: Iterable[tuple[PackedImage, str]],
) -> Iterator[dict[str, Any]]:
    """The results of ``write`` for the images, in order.

    Threads work ahead, up to `_IMAGES_AHEAD` images and `_BYTES_AHEAD` bytes.
    """
    waiting: deque[tuple[int, Future[dict[str, Any]]]] = deque()
    ahead = 0
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="unpack")
    try:
        for image, name in images:
            waiting.append((len(image.data), pool.submit(write, image, name)))
            ahead += len(image.data)
            while len(waiting) > _IMAGES_AHEAD or ahead > _BYTES_AHEAD:
                size, row = waiting.popleft()
                yield row.result()
                ahead -= size
        while waiting:
            yield waiting.popleft()[1].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _suffix(data: bytes) -> str:
    return next((name for head, name in _SUFFIXES.items() if data.startswith(head)), ".image")


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    # All images of a folder are flushed at once, because flushing each of them separately would
    # take longer than everything else.
    os.sync()
    with atomic.replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, _ROWS), temporary, compression="zstd")


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = pq.read_table(path, schema=_ROWS).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is damaged: delete it and import the pack again.") from error
    return rows


def _refuse_mixing(root: Path, domain: str, folder: str) -> None:
    if not (root / FILE_NAME).exists():
        return
    for rows in ManifestFile.open(root).tables(["domain", "path"]):
        paths = rows.filter(pc.equal(rows["domain"], domain))["path"]
        if pc.all(pc.starts_with(paths, f"{folder}/")).as_py() is not False:
            continue
        raise DataError(
            f"Domain {domain} of {root} has images from elsewhere, and the identities of two "
            "packs must not be mixed: give this pack another --domain."
        )
