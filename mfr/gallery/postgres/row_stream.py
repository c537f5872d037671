"""Rows as PostgreSQL's COPY takes them in its binary format, which it need not parse.

The format is the server's own (PostgreSQL manual, COPY, Binary Format): a signature, and for each
row the number of its fields and each field's length and bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_COUNT: Final = struct.Struct("!h")
_LENGTH: Final = struct.Struct("!i")
_NUMBER: Final = struct.Struct("!iq")
_BYTES_AT_ONCE: Final = 2**18


def row(fields: Sequence[bytes | int]) -> bytes:
    """One row: ``bytes`` for the types bytea and text (in UTF-8), ``int`` for bigint."""
    parts = [_COUNT.pack(len(fields))]
    for field in fields:
        if isinstance(field, int):
            parts.append(_NUMBER.pack(8, field))
        else:
            parts += (_LENGTH.pack(len(field)), field)
    return b"".join(parts)


def copy_rows(connection: psycopg.Connection[Any], table: str, rows: Iterable[bytes]) -> None:
    """Store rows that `row` has made in a table, ``name (column, ...)``, of this program's."""
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)".encode()) as copy,
    ):
        pieces, size = [_HEADER], 0
        for each in rows:
            pieces.append(each)
            size += len(each)
            if size >= _BYTES_AT_ONCE:
                copy.write(b"".join(pieces))
                pieces, size = [], 0
        pieces.append(_END)
        copy.write(b"".join(pieces))
