"""Which paths of a long stream came before, in memory that does not grow with the stream.

A Grace hash join: of each path a hash of 16 bytes goes into one of many files by its first bits,
and the files, each small, are looked through one by one. That two of a hundred million paths share
a hash has a chance below 1e-22.
Source: Kitsuregawa, Tanaka and Moto-oka, "Application of Hash to Data Base Machine and Its
Architecture", New Generation Computing 1 (1983).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import IO, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfr import atomic

_FILES: Final = 64
_ENTRY: Final = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<i8"), ("tag", "<i4")])


@dataclass(frozen=True)
class Repeats:
    """Rows whose path an earlier row has, (n,) each.

    Attributes:
        row: their numbers, from 0 in the order they came.
        tag: what was said of them.
        first: the first row with that path.
        first_tag: what was said of it.
    """

    row: NDArray[np.int64]
    tag: NDArray[np.int32]
    first: NDArray[np.int64]
    first_tag: NDArray[np.int32]


class PathJoin:
    """Takes paths, then tells which of them repeat an earlier one.

    Used with ``with``; its files have no names and are gone when it ends, however it does.

    Args:
        folder: on whose disk the files lie, about 28 bytes a path.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[IO[bytes]] = []
        self._rows = 0

    def __enter__(self) -> PathJoin:
        with contextlib.ExitStack() as stack:
            try:
                for _ in range(_FILES):
                    file = stack.enter_context(tempfile.TemporaryFile(dir=self._folder))
                    self._files.append(file)
            except OSError as error:
                raise atomic.write_error(self._folder, error) from error
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What a full disk left in a buffer cannot be flushed and is not needed.
        with contextlib.suppress(OSError):
            self._stack.close()

    def add(self, paths: pa.ChunkedArray, tags: NDArray[np.int32]) -> None:
        """The next paths (n,), and a number kept with each.

        Raises:
            WriteError: the disk is full.
        """
        hashes = b"".join(
            blake2b(path.encode(), digest_size=16).digest() for path in paths.to_pylist()
        )
        entries = np.empty(len(paths), _ENTRY)
        entries["high"], entries["low"] = np.frombuffer(hashes, "<u8").reshape(-1, 2).T
        entries["row"] = np.arange(self._rows, self._rows + len(paths))
        entries["tag"] = tags
        self._rows += len(paths)
        place = entries["high"] % _FILES
        entries = entries[np.argsort(place, kind="stable")]
        ends = np.cumsum(np.bincount(place.astype(np.int64), minlength=_FILES))[:-1]
        try:
            for file, some in zip(self._files, np.split(entries, ends), strict=True):
                file.write(some.tobytes())
        except OSError as error:
            raise atomic.write_error(self._folder, error) from error

    def repeats(self) -> Iterator[Repeats]:
        """The repetitions, file by file, thus in no order.

        Raises:
            WriteError: the disk is full.
        """
        for file in self._files:
            try:
                file.seek(0)  # writes what is still in the buffer
                entries = np.frombuffer(file.read(), _ENTRY)
            except OSError as error:
                raise atomic.write_error(self._folder, error) from error
            entries = entries[np.lexsort((entries["row"], entries["low"], entries["high"]))]
            new = np.ones(len(entries), bool)
            new[1:] = (entries["high"][1:] != entries["high"][:-1]) | (
                entries["low"][1:] != entries["low"][:-1]
            )
            first = entries[np.flatnonzero(new)[np.cumsum(new) - 1]][~new]
            again = entries[~new]
            yield Repeats(again["row"], again["tag"], first["row"], first["tag"])
