"""The process that decodes photos for others, with little memory and nothing to steal.

It talks over its standard input, which is a socket. A request is a head, `REQUEST`, then the name
and the bytes of a photo. The answer is the length of a text in JSON, `LENGTH`, then the text, then
the pixels, if there are any. Before the first request it says `READY`.
"""

from __future__ import annotations

import json
import math
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from mfr.errors import ImageError
from mfr.images import NamedBytes, ReducedPhoto, read_to_search

REQUEST: Final = struct.Struct("!IQq")
"""The lengths of the name and of the photo, and the pixels of the short side that are enough, or
`ALL`. Without a name, the photo has none."""

Reader: TypeAlias = Callable[[bytes, int | None], np.ndarray | ReducedPhoto]
"""What decodes: as `mfr.images.read_to_search`."""

LENGTH: Final = struct.Struct("!I")
READY: Final = b"+"
ALL: Final = -1


def received(connection: socket.socket, size: int) -> bytearray:
    """The next ``size`` bytes.

    Raises:
        EOFError: the other end has gone.
    """
    data = bytearray(size)
    receive_into(connection, memoryview(data))
    return data


def receive_into(connection: socket.socket, place: memoryview) -> None:
    """Fill ``place``, which is of bytes. Raises as `received`."""
    while len(place):
        count = connection.recv_into(place)
        if not count:
            raise EOFError
        place = place[count:]


def serve(
    connection: socket.socket, seconds: float, megabytes: int, read: Reader = read_to_search
) -> None:
    """Decode photos until the other end goes.

    Args:
        connection: to the process that asks.
        seconds: after which the system ends this process, should nobody else do so: the process
            that asks may have died.
        megabytes: of memory, beyond which this process gives up.
        read: what decodes.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes * 2**20,) * 2)
    connection.sendall(READY)
    while True:
        try:
            name, size, enough = REQUEST.unpack(received(connection, REQUEST.size))
        except EOFError:
            return
        signal.alarm(math.ceil(seconds) + 1)
        called = received(connection, name).decode("utf-8", "surrogateescape")
        data = bytes(received(connection, size))
        photo = NamedBytes(data, called) if called else data
        _send(connection, *_answer(photo, None if enough == ALL else enough, read))
        signal.alarm(0)


def _answer(
    photo: bytes, enough: int | None, read: Reader
) -> tuple[dict[str, Any], np.ndarray | None]:
    """What is said of a photo, and its pixels."""
    try:
        found = read(photo, enough)
    except ImageError as error:
        if isinstance(error.__cause__, MemoryError):
            raise  # it is not damaged, but larger than this process may be
        return {"error": str(error)}, None
    if isinstance(found, ReducedPhoto):
        place = {"factor": found.factor, "origin": found.origin, "name": found.name}
        return {"shape": found.pixels.shape, **place}, found.pixels
    return {"shape": found.shape}, found


def _send(connection: socket.socket, said: dict[str, Any], pixels: np.ndarray | None) -> None:
    text = json.dumps(said).encode()
    connection.sendall(LENGTH.pack(len(text)) + text)
    if pixels is not None:
        connection.sendall(pixels.data.cast("B"))


def main() -> None:
    """Decode for the process that started this one: seconds and megabytes are its arguments."""
    serve(socket.socket(fileno=0), float(sys.argv[1]), int(sys.argv[2]))
