"""The cache file of an index: written and read in segments, never trusted without its checksum.

After a line that names the format, there is a line of JSON with the stamp, the size of an embedding
and the number of segments; then each segment: a line of JSON with the number of its templates and
the length of their names, the ids (int64), the embeddings (float32), both little-endian, and the
names (lines of JSON lists). The SHA-256 of everything before it ends the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from mfr import atomic
from mfr.gallery.index import TemplateIndex
from mfr.gallery.records import EnrolledVectors
from mfr.gallery.segment import Segment

_FORMAT: Final = b"mfr-index-2\n"
_LONGEST_LINE: Final = 4096
_NAMES_AT_ONCE: Final = 2048


def write_cache(path: Path, index: TemplateIndex) -> None:
    """Write the cache file; it appears complete or not at all.

    Raises:
        WriteError: the disk is full or the location cannot be written.
    """
    with atomic.replacing(path) as temporary, temporary.open("wb") as file:
        digest = hashlib.sha256()

        def write(data: Any) -> None:
            digest.update(data)
            file.write(data)

        write(_FORMAT)
        write(_line(stamp=index.stamp, size=index.size, segments=len(index.segments)))
        for segment in index.segments:
            templates = segment.alive()
            names = _names(templates.owners)
            write(_line(templates=len(templates), names=len(names)))
            write(np.ascontiguousarray(templates.ids, dtype="<i8"))
            write(np.ascontiguousarray(templates.embeddings, dtype="<f4"))
            write(names)
        file.write(digest.digest())


def read_cache(path: Path) -> TemplateIndex | None:
    """The index in a cache file; None when there is none, or it is damaged or of another format."""
    try:
        with path.open("rb") as file:
            return _read(_Reader(file))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cached_stamp(path: Path) -> str | None:
    """The stamp a cache file says it has, whether or not the rest of it is sound."""
    try:
        with path.open("rb") as file:
            reader = _Reader(file)
            return str(reader.start()["stamp"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _Reader:
    """Reads a file and the checksum of what was read; ValueError for what cannot be right."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._left = os.fstat(file.fileno()).st_size

    def start(self) -> dict[str, Any]:
        """Read the line of the format and the one after it."""
        if self._counted(self._file.readline(_LONGEST_LINE)) != _FORMAT:
            raise ValueError("another format")
        return self.line()

    def line(self) -> dict[str, Any]:
        return dict(json.loads(self._counted(self._file.readline(_LONGEST_LINE))))

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
        """Whether the checksum, and nothing else, is left, and is right."""
        return self._file.read() == self._digest.digest()

    def _counted(self, data: Any) -> Any:
        self._digest.update(data)
        self._left -= memoryview(data).nbytes
        return data


def _read(reader: _Reader) -> TemplateIndex | None:
    head = reader.start()
    size = int(head["size"])
    segments = []
    for _ in range(int(head["segments"])):
        line = reader.line()
        count = int(line["templates"])
        ids = reader.array((count,), "<i8")
        embeddings = reader.array((count, size), "<f4")
        lists = reader.array((int(line["names"]),), "u1").tobytes().split(b"\n")
        names = [name for each in lists for name in json.loads(each)]
        if len(names) != count:
            return None
        segments.append(Segment(EnrolledVectors(ids, names, embeddings)))
    return TemplateIndex(str(head["stamp"]), size, segments) if reader.finished() else None


def _names(owners: list[str]) -> bytes:
    # Encoding holds up other threads: it is done in small pieces, so that searches go on.
    starts = range(0, len(owners), _NAMES_AT_ONCE)
    pieces = (owners[start : start + _NAMES_AT_ONCE] for start in starts)
    return b"\n".join(json.dumps(piece).encode() for piece in pieces)


def _line(**values: str | int) -> bytes:
    return json.dumps(values).encode() + b"\n"
