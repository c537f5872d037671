"""A reader for pickles of plain data that does not run them.

A pickle is a program, and `pickle.load` runs whatever it names. This module only lists the
instructions (`pickletools.genops`) and interprets the few that build lists, tuples, numbers,
booleans, strings and bytes. Nothing is ever imported or called: the handful of names that NumPy
arrays and old protocols need are mapped to fixed parts of this module, and every other name and
every other instruction is refused. Memory use is bounded by the file's size.
"""

from __future__ import annotations

import mmap
import pickletools
from dataclasses import dataclass
from typing import IO, Any, Final, cast

from mfr.errors import DataError

_NAMES: Final = frozenset(
    {
        "_codecs.encode",
        "numpy.dtype",
        "numpy.ndarray",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy.core.numeric._frombuffer",
    }
)

_VALUES: Final = frozenset(
    {
        *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("SHORT_BINSTRING", "BINSTRING"),
    }
)
_FIXED: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES: Final = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass
class PlainArray:
    """A NumPy array of bytes ('u1') or booleans ('b1'): its kind and the bytes of its elements."""

    kind: str = ""
    data: bytes = b""


@dataclass(frozen=True)
class _Name:
    """A name in `_NAMES`; it is never looked up."""

    name: str


@dataclass(frozen=True)
class _ElementType:
    kind: str


class _ForeignError(Exception):
    """The pickle uses something that plain data does not need."""


def read_plain(data: bytes | mmap.mmap, source: str) -> Any:
    """The value that a pickle of plain data holds.

    Args:
        data: the pickle, of any protocol except 0 (whose byte strings are text).
        source: the name of the pickle for error messages.

    Returns:
        A value made of lists, tuples, ints, booleans, ``None``, str, bytes (also for ``str`` of
        Python 2) and `PlainArray`. Objects that the pickle shares are shared.

    Raises:
        DataError: the pickle is damaged or truncated, or holds anything else.
    """
    try:
        return _Machine(len(data)).run(data)
    except _ForeignError as error:
        raise DataError(
            f"{source} holds {error}, which a pack of images does not need and which could run a "
            "program when the file is unpickled. It was not run: get the file from another source."
        ) from error
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise DataError(
            f"{source} is truncated, or not a pickle of images and booleans: copy it again from "
            "its source."
        ) from error


class _Machine:
    """The stack and memo of a pickle."""

    def __init__(self, size: int) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.copies_left = size

    def run(self, data: bytes | mmap.mmap) -> Any:
        for instruction, argument, _ in pickletools.genops(cast(IO[bytes], data)):
            if instruction.name == "STOP":
                (value,) = self.stack
                return value
            self.step(instruction.name, argument)
        raise ValueError("no STOP")

    def step(self, name: str, argument: Any) -> None:
        stack, memo = self.stack, self.memo
        if name in _VALUES:
            stack.append(_value(name, argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "APPEND":
            value = stack.pop()
            _list(stack[-1]).append(value)
        elif name == "APPENDS":
            values = self.since_mark()
            _list(stack[-1]).extend(values)
        elif name == "LIST":
            stack.append(self.since_mark())
        elif name == "TUPLE":
            stack.append(tuple(self.since_mark()))
        elif name in _TUPLES:
            stack.append(tuple(self.pop(_TUPLES[name])))
        elif name == "GLOBAL":
            stack.append(_name(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            stack.append(_name(*self.pop(2)))
        elif name == "REDUCE":
            stack.append(self.build(*self.pop(2)))
        elif name == "BUILD":
            target, state = self.pop(2)
            _fill(target, state)
            stack.append(target)
        elif name not in ("PROTO", "FRAME"):
            raise _ForeignError(f"the instruction {name}")

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            raise IndexError("stack underflow")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def since_mark(self) -> list[Any]:
        return self.pop(len(self.stack) - self.marks.pop())

    def build(self, name: Any, arguments: Any) -> Any:
        match name, arguments:
            case _Name("_codecs.encode"), (str() as text, "latin1"):
                # This is how Python 3 writes bytes in protocol 2. The limit stops a pickle that
                # requests the same copy again and again.
                self.copies_left -= len(text)
                if self.copies_left < 0:
                    raise _ForeignError("more bytes than the file has")
                return text.encode("latin-1")
            case _Name("numpy.dtype"), ("u1" | "b1" | b"u1" | b"b1" as kind, *_):
                return _ElementType(kind if isinstance(kind, str) else kind.decode())
            case _Name("numpy.core.multiarray.scalar"), (_ElementType("b1"), b"\0" | b"\1" as bit):
                return bit == b"\1"
            case _Name("numpy.core.multiarray._reconstruct"), (_Name("numpy.ndarray"), *_):
                return PlainArray()
            case _Name("numpy.core.numeric._frombuffer"), (
                bytes() as raw,
                _ElementType(kind),
                *_,
            ):
                return PlainArray(kind, raw)
        raise _ForeignError(f"a use of {name.name if isinstance(name, _Name) else 'its data'}")


def _value(name: str, argument: Any) -> Any:
    if name in _FIXED:
        return _FIXED[name]
    if name.endswith("STRING"):
        return argument.encode("latin-1")  # genops shows Python 2's bytes as text
    return bytes(argument) if isinstance(argument, bytearray) else argument


def _name(module: Any, name: Any) -> _Name:
    full = f"{module}.{name}".replace("numpy._core.", "numpy.core.")
    if full not in _NAMES:
        raise _ForeignError(f"the name {full[:80]!r}")
    return _Name(full)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _fill(target: Any, state: Any) -> None:
    match target, state:
        case _ElementType(), tuple():  # byte order and alignment, irrelevant to single bytes
            pass
        case PlainArray(), (_, _, _ElementType(kind), _, bytes() as raw):
            target.kind, target.data = kind, raw
        case _:
            raise _ForeignError("a state for an object that is not an array")
