"""The cache file of an index: written and read in segments, never trusted without its seal.

After a line that names the format, there is a line of JSON with the stamp, the size D of an
embedding, the number of segments, the length of the list of damaged templates and the number E of
columns of the rotation that codes are made by, 0 where there are no codes. The list comes next
(JSON), then centre (D), rotation (D x E) and scale (float32); then each segment: a line of JSON
with the number of its templates, the length of their names and the bytes of a code, the ids
(int64), the embeddings (float32), all little-endian, the codes, and the names (lines of JSON
lists). The seal of everything before it ends the file: HMAC-SHA256 with the secret of the store, so
that a file which this program did not write for this gallery is not believed, whatever it says.
"""

from __future__ import annotations

import hmac
import json
import os
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from mfr import atomic
from mfr.gallery.cache_state import FORMAT, LONGEST_LINE, open_cache
from mfr.gallery.coding import Coding
from mfr.gallery.index import TemplateIndex
from mfr.gallery.records import DamagedTemplate, EnrolledVectors
from mfr.gallery.segment import Segment

_NAMES_AT_ONCE: Final = 2048


def write_cache(path: Path, index: TemplateIndex, secret: str) -> None:
    """Write the cache file, for its maker's eyes only; it appears complete or not at all.

    Args:
        path: the file.
        index: what to write.
        secret: of the store.

    Raises:
        WriteError: the disk is full or the location cannot be written.
    """
    with atomic.replacing(path, mode=0o600) as temporary, temporary.open("wb") as file:
        digest = _seal(secret)

        def write(data: Any) -> None:
            digest.update(data)
            file.write(data)

        write(FORMAT)
        damaged = json.dumps([[each.id, each.identity] for each in index.damaged]).encode()
        segments = len(index.segments)
        coding = index.coding
        columns = 0 if coding is None else coding.rotation.shape[1]
        counts = {"segments": segments, "damaged": len(damaged), "rotation": columns}
        write(_line(stamp=index.stamp, size=index.size, **counts))
        write(damaged)
        if coding is not None:
            for part in (coding.centre, coding.rotation, np.array([coding.scale])):
                write(np.ascontiguousarray(part, dtype="<f4"))
        for segment in index.segments:
            templates = segment.alive()
            names = _names(templates.owners)
            codes = segment.alive_codes()
            width = 0 if codes is None else codes.shape[1]
            write(_line(templates=len(templates), names=len(names), code=width))
            write(np.ascontiguousarray(templates.ids, dtype="<i8"))
            write(np.ascontiguousarray(templates.embeddings, dtype="<f4"))
            if codes is not None:
                write(np.ascontiguousarray(codes))
            write(names)
        file.write(digest.digest())


def read_cache(path: Path, secret: str) -> TemplateIndex | None:
    """The index in a cache file; None when there is none, or it is damaged, foreign or older.

    Args:
        path: the file.
        secret: of the store.
    """
    try:
        with open_cache(path) as file:
            return _read(_Reader(file, secret))
    except (
        Exception
    ):  # the bytes may be anybody's, and whatever they raise, the store has the truth
        return None


def _seal(secret: str) -> hmac.HMAC:
    return hmac.new(secret.encode(), digestmod="sha256")


class _Reader:
    """Reads a file and the seal of what was read; ValueError for what cannot be right."""

    def __init__(self, file: IO[bytes], secret: str) -> None:
        self._file = file
        self._digest = _seal(secret)
        self._left = os.fstat(file.fileno()).st_size

    def start(self) -> dict[str, Any]:
        """Read the line of the format and the one after it."""
        if self._counted(self._file.readline(LONGEST_LINE)) != FORMAT:
            raise ValueError("another format")
        return self.line()

    def line(self) -> dict[str, Any]:
        return dict(json.loads(self._counted(self._file.readline(LONGEST_LINE))))

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        kind = np.dtype(dtype)
        count = int(np.prod(shape, dtype=object))
        if min(shape) < 0 or count * kind.itemsize > self._left:
            raise ValueError("longer than the file")
        array = np.empty(shape, dtype=kind)
        self._file.readinto(array.data.cast("B"))  # type: ignore[attr-defined]
        self._counted(array.data)
        return array.astype(kind.newbyteorder("="), copy=False)

    def finished(self) -> bool:
        """Whether the seal, and nothing else, is left, and is right."""
        return hmac.compare_digest(self._file.read(self._left + 1), self._digest.digest())

    def _counted(self, data: Any) -> Any:
        self._digest.update(data)
        self._left -= memoryview(data).nbytes
        return data


def _read(reader: _Reader) -> TemplateIndex | None:
    head = reader.start()
    size = int(head["size"])
    listed = json.loads(reader.array((int(head["damaged"]),), "u1").tobytes())
    damaged = tuple(DamagedTemplate(int(number), str(name)) for number, name in listed)
    coding = _coding(reader, size, int(head["rotation"]))
    read = []
    for _ in range(int(head["segments"])):
        line = reader.line()
        count = int(line["templates"])
        ids = reader.array((count,), "<i8")
        embeddings = reader.array((count, size), "<f4")
        width = int(line["code"])
        codes = reader.array((count, width), "u1") if width else None
        lists = reader.array((int(line["names"]),), "u1").tobytes().split(b"\n")
        names = [name for each in lists for name in json.loads(each)]
        if len(names) != count:
            return None
        read.append((EnrolledVectors(ids, names, embeddings), codes))
    if not reader.finished():
        return None
    segments = [
        Segment(templates, None, None if codes is None else coding, codes)
        for templates, codes in read
    ]
    return TemplateIndex(str(head["stamp"]), size, segments, damaged, coding=coding)


def _coding(reader: _Reader, size: int, columns: int) -> Coding | None:
    if not columns:
        return None
    centre, rotation = reader.array((size,), "<f4"), reader.array((size, columns), "<f4")
    return Coding(centre, rotation, float(reader.array((1,), "<f4")[0]))


def _names(owners: list[str]) -> bytes:
    # Encoding holds up other threads: it is done in small pieces, so that searches go on.
    starts = range(0, len(owners), _NAMES_AT_ONCE)
    pieces = (owners[start : start + _NAMES_AT_ONCE] for start in starts)
    return b"\n".join(json.dumps(piece).encode() for piece in pieces)


def _line(**values: str | int) -> bytes:
    return json.dumps(values).encode() + b"\n"
