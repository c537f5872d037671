"""Whether an Arrow stream is compressed, read from its messages before anything is decompressed.

pyarrow allocates what compressed buffers claim to unfold to. A stream that is not compressed lies
in its file as it is and is only mapped into memory.
Sources: https://github.com/apache/arrow, ``format/Message.fbs``; the layout of the messages:
https://flatbuffers.dev/internals.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import pyarrow as pa

_HEADER_TYPE, _HEADER = 1, 2  # fields of a message
_DICTIONARY, _RECORDS = 2, 3  # types of its header
_DATA: Final = 1  # the field of a dictionary with its records
_COMPRESSION: Final = 3  # the field of records that says how they are compressed


def is_compressed(path: Path) -> bool:
    """Whether any record batch or dictionary of the stream in ``path`` is compressed.

    Raises:
        OSError, pa.ArrowException: the stream is damaged.
    """
    with pa.memory_map(str(path)) as memory:
        for message in pa.ipc.MessageReader.open_stream(memory):
            try:
                if _compressed(message.metadata.to_pybytes()):
                    return True
            except struct.error as error:
                raise OSError("a damaged message") from error
    return False


def _compressed(message: bytes) -> bool:
    (table,) = struct.unpack_from("<I", message, 0)
    kind, header = _field(message, table, _HEADER_TYPE), _field(message, table, _HEADER)
    if kind is None or header is None or message[kind] not in (_DICTIONARY, _RECORDS):
        return False
    records = _followed(message, header)
    if message[kind] == _DICTIONARY:
        data = _field(message, records, _DATA)
        if data is None:
            return False
        records = _followed(message, data)
    return _field(message, records, _COMPRESSION) is not None


def _field(message: bytes, table: int, number: int) -> int | None:
    """Where a field of a table lies; None if the table does not have it."""
    (back,) = struct.unpack_from("<i", message, table)
    (size,) = struct.unpack_from("<H", message, table - back)
    place = 4 + 2 * number
    if place >= size:
        return None
    (offset,) = struct.unpack_from("<H", message, table - back + place)
    return table + offset if offset else None


def _followed(message: bytes, place: int) -> int:
    return place + int(struct.unpack_from("<I", message, place)[0])
