"""What decoding one image may cost, for files that are made to stall a program or fill its memory.

A file of a few kilobytes can keep a decoder busy for minutes within any limit on its bytes and
pixels. Everything such files are known to multiply is counted here: the scans of a JPEG, and the
small reads with which Pillow's parsers go through a header.
"""

from __future__ import annotations

import io
import re
import time
from typing import Final

MAX_SCANS: Final = 100
"""The most scans of a JPEG. Encoders write about ten, and each costs a pass over all pixels."""

MAX_READS: Final = 1_000_000
"""The most times that a parser may read from the file."""

MAX_SECONDS: Final = 10.0
"""The most processor time from opening to the last read, in seconds: several times what the largest
photo needs."""

_LARGE_READ: Final = 2**16
_READS_BETWEEN_LOOKS: Final = 1024
_START_OF_SCAN: Final = b"\xff\xda"
_END_OF_IMAGE: Final = 0xD9
# Start of image, and TEM: markers without a length after them (ITU-T T.81, table B.1).
_WITHOUT_LENGTH: Final = (0xD8, 0x01)
# Neither a stuffed byte nor a restart marker. Looking back keeps a run of 0xff linear.
_MARKER: Final = re.compile(rb"(?<!\xff)\xff+[^\xff\x00\xd0-\xd7]")


class TooCostlyError(Exception):
    """An image costs more to decode than is allowed. It never leaves `mfr.images`."""


class MeteredBytes(io.BytesIO):
    """A file's bytes, which raise `TooCostlyError` once reading them has cost too much."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads = 0
        # The thread's own time: a photo is not refused because the machine is busy.
        self._end = time.thread_time() + MAX_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        """As `io.BytesIO.read`."""
        self._reads += 1
        if self._reads > MAX_READS:
            raise TooCostlyError
        large = size is None or size < 0 or size >= _LARGE_READ
        looks = large or self._reads % _READS_BETWEEN_LOOKS == 0
        if looks and time.thread_time() > self._end:
            raise TooCostlyError
        return super().read(size)


def check_jpeg_scans(data: bytes) -> None:
    """Count the scans of a JPEG, of its first image if there are several.

    Raises:
        TooCostlyError: there are more than `MAX_SCANS`.
    """
    # What looks like a scan may lie in a thumbnail, in a profile or in a film behind the photo;
    # only where there are many is it worth the time to look closely.
    if data.count(_START_OF_SCAN) <= MAX_SCANS:
        return
    scans, position = 0, 0
    while (match := _MARKER.search(data, position)) is not None:
        marker, position = data[match.end() - 1], match.end()
        if marker == _END_OF_IMAGE:
            return
        if marker in _WITHOUT_LENGTH:
            continue
        scans += marker == _START_OF_SCAN[1]
        if scans > MAX_SCANS:
            raise TooCostlyError
        position += max(2, int.from_bytes(data[position : position + 2], "big"))
