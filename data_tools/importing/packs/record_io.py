"""RecordIO, the container format of MXNet's packs: one file with records one after another.

A record consists of one or more parts. A part consists of the magic number, a word with the part's
kind in its upper 3 bits and the part's length in its lower 29, the bytes, and zeros up to the next
multiple of 4. A record whose bytes contain the magic number at such a multiple is divided there,
without the magic number; the reader inserts it again.
Source: dmlc-core, ``include/dmlc/recordio.h`` and ``src/recordio.cc``; the image header:
MXNet, ``src/io/image_recordio.h``. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from data_tools.importing.packs.pack import open_file
from mfr.errors import DataError
from mfr.images import MAX_BYTES

MAGIC: Final = struct.pack("<I", 0xCED7230A)
WHOLE, FIRST, MIDDLE, LAST = range(4)

_PART: Final = struct.Struct("<4sI")
_IMAGE: Final = struct.Struct("<IfQQ")  # number of labels or 0, label, id, upper half of the id
_MAX_RECORD: Final = MAX_BYTES + 2**20


@dataclass(frozen=True)
class ImageRecord:
    """A record of MXNet's image packs.

    Attributes:
        id: the record's key.
        labels: the record's labels, of which there is at least one.
        data: the encoded image; empty in records that only describe the pack.
    """

    id: int
    labels: tuple[float, ...]
    data: bytes


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a RecordIO file in order, with one record in memory at a time.

    Raises:
        DataError: the file is not a RecordIO file, is truncated or damaged, or has a record
            larger than 65 MiB.
    """
    with open_file(path) as file:
        number = 0
        while (record := _read_record(file, f"Record {number} of {path}")) is not None:
            yield record
            number += 1


def read_image_record(record: bytes, place: str) -> ImageRecord:
    """Split the record of an image into its key, labels and image.

    Raises:
        DataError: the record is shorter than its header and labels.
    """
    if len(record) >= _IMAGE.size:
        count, label, key, _ = _IMAGE.unpack_from(record)
        start = _IMAGE.size + 4 * count
        if start <= len(record):
            labels = struct.unpack_from(f"<{count}f", record, _IMAGE.size) if count else (label,)
            return ImageRecord(key, labels, record[start:])
    raise DataError(
        f"{place} is not an image record of MXNet, because its header is cut short: copy the file "
        "again from its source."
    )


def _read_record(file: BinaryIO, place: str) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        header = file.read(_PART.size)
        if not header and not parts:
            return None
        if len(header) < _PART.size:
            raise _truncated(place)
        magic, word = _PART.unpack(header)
        if magic != MAGIC:
            raise DataError(
                f"{place} does not begin with RecordIO's magic number, so the file is damaged "
                "there or not a RecordIO file: copy it again from its source."
            )
        kind, length = word >> 29, word & (2**29 - 1)
        if (kind in (WHOLE, FIRST)) == bool(parts) or kind > LAST:
            raise DataError(
                f"{place} has its parts in an impossible order: copy the file again from its "
                "source."
            )
        size += length + len(MAGIC)
        if size > _MAX_RECORD:
            raise DataError(
                f"{place} is larger than the limit of {_MAX_RECORD // 2**20} MiB, so it is damaged "
                "or not an image: copy the file again from its source."
            )
        part = file.read(length + -length % 4)
        if len(part) < length + -length % 4:
            raise _truncated(place)
        parts.append(part[:length])
        if kind in (WHOLE, LAST):
            return parts[0] if kind == WHOLE else MAGIC.join(parts)


def _truncated(place: str) -> DataError:
    return DataError(f"{place} is truncated: copy the file again from its source.")
