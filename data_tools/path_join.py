"""The repeated paths in a long stream, found in far less memory than the paths take.

The method is a Grace hash join: a 16-byte hash of each path goes into one of many files, chosen by
some of its bits, and the files, each of them small, are searched one by one. The probability that
two of a hundred million paths have the same hash is below 1e-22.
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
    """The n rows whose path an earlier row has; all arrays are (n,).

    Attributes:
        row: the numbers of the rows, from 0 in the order in which they were added.
        tag: the tags of the rows.
        first: the number of the first row with the same path.
        first_tag: the tag of that first row.
    """

    row: NDArray[np.int64]
    tag: NDArray[np.int32]
    first: NDArray[np.int64]
    first_tag: NDArray[np.int32]


class PathJoin:
    """Collects paths, then finds those that repeat an earlier path.

    It is a context manager. Its files have no names and disappear when the block ends for any
    reason.

    Args:
        folder: a folder on the disk that is to hold the files, about 28 bytes per path.
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
        # Entries that a full disk left in a buffer cannot be flushed and are not needed.
        with contextlib.suppress(OSError):
            self._stack.close()

    def add(self, paths: pa.ChunkedArray, tags: NDArray[np.int32]) -> None:
        """Add the next paths (n,), each with a number as its tag.

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
        """The repetitions, file by file and therefore in no particular order.

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
