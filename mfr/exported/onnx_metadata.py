"""The metadata of an ONNX file, read without the package onnx.

An ONNX file is one message of Protocol Buffers, ModelProto. Its metadata are few and stand beside
the graph, of which nothing but its length is looked at.
(https://protobuf.dev/programming-guides/encoding, and onnx.proto of github.com/onnx/onnx.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_METADATA: Final = 14
"""The number of ModelProto.metadata_props, pairs of a key and a value."""
_KEY: Final = 1
_VALUE: Final = 2
_VARINT: Final = 0
_BYTES: Final = 2
_FIXED: Final = {1: 8, 5: 4}
"""The lengths of numbers that are not varints, by the kind of field."""
_LONGEST_VARINT: Final = 10


def onnx_metadata(content: bytes) -> dict[str, str]:
    """What the file with this ``content`` says of itself.

    Raises:
        ValueError: it is truncated or no message at all.
    """
    pairs = [
        {number: bytes(part).decode() for number, part in _fields(pair)}
        for field, pair in _fields(memoryview(content))
        if field == _METADATA
    ]
    return {pair.get(_KEY, ""): pair.get(_VALUE, "") for pair in pairs}


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The numbers and contents of those fields of a message that are bytes, text or messages."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, place = _varint(message, place)
        elif kind in _FIXED:
            place += _FIXED[kind]
        elif kind == _BYTES:
            length, begin = _varint(message, place)
            place = begin + length
            if place <= len(message):
                yield number, message[begin:place]
        else:
            raise ValueError(f"no kind of field is numbered {kind}")
        if place > len(message):
            raise ValueError("the message ends within a field")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place after it."""
    number = 0
    for index in range(_LONGEST_VARINT):
        if place + index >= len(message):
            raise ValueError("the message ends within a number")
        byte = message[place + index]
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, place + index + 1
    raise ValueError("a number is too long")
