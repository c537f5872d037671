"""Columns of many rows as parameters of one statement: arrays in PostgreSQL's binary format.

One INSERT takes the rows from ``unnest`` of such arrays. (COPY would be as fast, but PostgreSQL
refuses it where rows are kept apart by policies.) psycopg's own arrays are made in Python, an
object a value; these are joined from bytes that are there already. The format: the number of
dimensions, whether there are NULLs, the type of the elements, and for the dimension its size and
lower bound; then each element's length and bytes (array_send in PostgreSQL's arrayfuncs.c).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER: Final = struct.Struct("!iiIii")
_BYTEA, _BIGINT, _TEXT = 17, 20, 25  # numbers of PostgreSQL's types, the same in every database


class Column:
    """Values of the type of number ``element``, as that type is sent; `data` is what is sent."""

    def __init__(self, values: Sequence[bytes], element: int) -> None:
        sizes = np.fromiter(map(len, values), dtype=">i4", count=len(values)).tobytes()
        lengths = (sizes[start : start + 4] for start in range(0, len(sizes), 4))
        header = _HEADER.pack(1, 0, element, len(values), 1)
        joined = itertools.chain.from_iterable(zip(lengths, values, strict=True))
        self.data = b"".join(itertools.chain([header], joined))


class Blobs(Column):
    """A column of type bytea."""

    def __init__(self, values: Sequence[bytes]) -> None:
        super().__init__(values, _BYTEA)


class Texts(Column):
    """A column of type text."""

    def __init__(self, values: Sequence[bytes]) -> None:
        super().__init__(values, _TEXT)

    @classmethod
    def of(cls, values: Iterable[str]) -> Texts:
        """The column of these texts."""
        return cls([value.encode() for value in values])


class Numbers(Column):
    """A column of type bigint."""

    def __init__(self, values: Sequence[bytes]) -> None:
        super().__init__(values, _BIGINT)

    @classmethod
    def of(cls, values: Iterable[int]) -> Numbers:
        """The column of these numbers."""
        sent = np.array(list(values), dtype=">i8").tobytes()
        return cls([sent[start : start + 8] for start in range(0, len(sent), 8)])


class _ColumnDumper(Dumper):
    oid = 0  # the statement says what it is
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return bytes(obj.data)


class _BlobsDumper(_ColumnDumper):
    oid = 1001


class _TextsDumper(_ColumnDumper):
    oid = 1009


class _NumbersDumper(_ColumnDumper):
    oid = 1016


def teach(connection: psycopg.Connection[Any]) -> None:
    """Let a connection take columns as parameters."""
    connection.adapters.register_dumper(Column, _ColumnDumper)
    connection.adapters.register_dumper(Blobs, _BlobsDumper)
    connection.adapters.register_dumper(Texts, _TextsDumper)
    connection.adapters.register_dumper(Numbers, _NumbersDumper)
