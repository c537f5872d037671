"""The sizes of the pages of Parquet columns, read from their headers without decompressing any.

pyarrow allocates what the header of a page claims and does not show it beforehand, and the totals
in the file's footer may say less. Headers are Thrift structures in the compact protocol.
Sources: https://github.com/apache/parquet-format, ``parquet.thrift``; the protocol:
https://github.com/apache/thrift, ``doc/specs/thrift-compact-protocol.md``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow.parquet as pq

_LONGEST_HEADER: Final = 2**20  # a header may hold the smallest and largest value of its page
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_UNPACKED, _PACKED = 2, 3  # the fields of a page's header with its sizes
_DEEPEST: Final = 16


def unpacked_page_sizes(path: Path, columns: Collection[str]) -> Iterator[int]:
    """The size of every page of some columns after decompression, in bytes.

    Args:
        path: the file.
        columns: the paths of the columns in the schema, such as 'image.bytes'; 'image' means all
            columns inside it.

    Raises:
        OSError: a header is damaged, or the file ends before its pages do.
    """
    footer = pq.read_metadata(path)
    with path.open("rb") as file:
        for group in range(footer.num_row_groups):
            for number in range(footer.num_columns):
                chunk = footer.row_group(group).column(number)
                if not any(f"{chunk.path_in_schema}.".startswith(f"{c}.") for c in columns):
                    continue
                starts = (chunk.data_page_offset, chunk.dictionary_page_offset or None)
                place = min(start for start in starts if start is not None)
                end = place + chunk.total_compressed_size
                while place < end:
                    length, unpacked, packed = _header(file, place)
                    yield unpacked
                    place += length + packed


def _header(file: BinaryIO, place: int) -> tuple[int, int, int]:
    """The length of the header at ``place``, and the sizes of its page unpacked and packed."""
    file.seek(place)
    reader = _Compact(file.read(_LONGEST_HEADER))
    try:
        sizes = reader.numbers()
        unpacked, packed = sizes[_UNPACKED], sizes[_PACKED]
    except (IndexError, KeyError) as error:
        raise OSError("a damaged page header") from error
    if unpacked < 0 or packed < 0:
        raise OSError("a page of negative size")
    return reader.place, unpacked, packed


class _Compact:
    """A reader of Thrift's compact protocol; IndexError where the bytes end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def numbers(self, depth: int = 0) -> dict[int, int]:
        """The fields of a structure that are whole numbers, by field; all others are skipped."""
        if depth > _DEEPEST:
            raise IndexError("too deep")
        found: dict[int, int] = {}
        field = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            field = field + step if step else self._signed()
            if kind in (_I16, _I32, _I64):
                found[field] = self._signed()
            elif kind not in (_TRUE, _FALSE):
                self._skip(kind, depth)
        return found

    def _skip(self, kind: int, depth: int) -> None:
        if kind in (_I16, _I32, _I64):
            self._signed()
        elif kind in (_TRUE, _FALSE, _BYTE):  # of a list; the booleans of structures have no bytes
            self._byte()
        elif kind == _DOUBLE:
            self._advance(8)
        elif kind == _BINARY:
            self._advance(self._unsigned())
        elif kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._unsigned()
            for _ in range(count):
                self._skip(head & 15, depth + 1)
        elif kind == _STRUCT:
            self.numbers(depth + 1)
        else:  # page headers have no maps
            raise IndexError("a field of an unknown kind")

    def _advance(self, count: int) -> None:
        self.place += count
        if self.place > len(self.data):
            raise IndexError("the end")

    def _byte(self) -> int:
        value = self.data[self.place]
        self.place += 1
        return value

    def _unsigned(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise IndexError("a number without an end")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
