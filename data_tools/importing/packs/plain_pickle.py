"""A reader for pickles of plain data that does not run them.

A pickle is a program, and `pickle.load` runs whatever it names. This module only lists the
instructions (by `pickletools`) and interprets the few that build lists, tuples, numbers,
booleans, strings and bytes. Nothing is ever imported or called: the handful of names that NumPy
arrays and old protocols need are mapped to fixed parts of this module, and every other name and
every other instruction is refused. Memory use is bounded by the file's size.
"""

from __future__ import annotations

import codecs
import io
import mmap
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, cast

import numpy as np

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
        *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("SHORT_BINSTRING", "BINSTRING", "STRING", "UNICODE"),
    }
)
_FIXED: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_HARMLESS: Final = frozenset(
    {
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS", "FROZENSET"),
        *("FLOAT", "BINFLOAT", "LONG4", "DUP", "POP", "POP_MARK"),
    }
)
"""Instructions that cannot run a program, but that no pack needs."""

_INSTRUCTIONS: Final = {one.code.encode("latin-1"): one for one in pickletools.opcodes}
_TUPLES: Final = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


_KINDS: Final = ("b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")
"""NumPy's names of booleans and whole numbers, with their sizes in bytes."""


@dataclass
class PlainArray:
    """A NumPy array of whole numbers or booleans.

    Attributes:
        kind: one of NumPy's names, such as 'u1' for bytes and 'b1' for booleans.
        data: the bytes of the elements.
        big: whether the most significant byte of an element comes first.
    """

    kind: str = ""
    data: bytes = b""
    big: bool = False

    def values(self) -> list[int]:
        """The elements in order, booleans as 0 and 1.

        Raises:
            ValueError: there are not whole elements.
        """
        kind = np.dtype(self.kind).newbyteorder(">" if self.big else "<")
        return [int(one) for one in np.frombuffer(self.data, kind)]


@dataclass(frozen=True)
class _Name:
    """A name in `_NAMES`; it is never looked up."""

    name: str


@dataclass
class _ElementType:
    kind: str
    big: bool = False


class _ForeignError(Exception):
    """The pickle uses something that plain data does not need and that could run a program."""


class _StrangeError(Exception):
    """The pickle holds something that could not run a program, but is no pack."""


def read_plain(data: bytes | mmap.mmap, source: str) -> Any:
    """The value that a pickle of plain data holds.

    Args:
        data: the pickle, of any protocol.
        source: the name of the pickle for error messages.

    Returns:
        A value made of lists, tuples, ints, booleans, ``None``, str, bytes (also for ``str`` of
        Python 2) and `PlainArray`. Objects that the pickle shares are shared.

    Raises:
        DataError: the pickle is damaged or truncated, or holds anything else.
    """
    try:
        return _Machine(len(data)).run(data)
    except _StrangeError as error:
        raise DataError(
            f"{source} holds {error}, which no pack of images has: name another file."
        ) from error
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
        for name, argument in _instructions(data):
            if name == "STOP":
                (value,) = self.stack
                return value
            self.step(name, argument)
        raise ValueError("no STOP")

    def step(self, name: str, argument: Any) -> None:
        stack, memo = self.stack, self.memo
        if name in _VALUES:
            stack.append(_value(name, argument))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
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
        elif name in _HARMLESS:
            raise _StrangeError(f"the instruction {name}")
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
            case _Name("numpy.dtype"), (str() | bytes() as kind, *_) if _text(kind) in _KINDS:
                return _ElementType(_text(kind))
            case _Name("numpy.dtype"), (str() | bytes() as kind, *_):
                raise _StrangeError(f"NumPy elements of the kind {_text(kind)[:40]!r}")
            case _Name("numpy.core.multiarray.scalar"), (_ElementType() as kind, bytes() as raw):
                (value,) = PlainArray(kind.kind, raw, kind.big).values()
                return bool(value) if kind.kind == "b1" else value
            case _Name("numpy.core.multiarray._reconstruct"), (_Name("numpy.ndarray"), *_):
                return PlainArray()
            case _Name("numpy.core.numeric._frombuffer"), (
                bytes() as raw,
                _ElementType(kind, big),
                *_,
            ):
                return PlainArray(kind, raw, big)
        raise _ForeignError(f"a use of {name.name if isinstance(name, _Name) else 'its data'}")


def _instructions(data: bytes | mmap.mmap) -> Iterator[tuple[str, Any]]:
    """The names of a pickle's instructions and their arguments.

    This is what `pickletools.genops` does, except for the byte strings of protocol 0, which it
    takes for ASCII.
    """
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    while code := file.read(1):
        instruction = _INSTRUCTIONS[code]
        if instruction.name == "STRING":
            yield "STRING", _quoted(file.readline())
        elif instruction.arg is None:
            yield instruction.name, None
        else:
            yield instruction.name, instruction.arg.reader(cast(IO[bytes], file))


def _quoted(line: bytes) -> bytes:
    """The bytes that a line of protocol 0 writes in quotes, with escapes, as Python 2 does."""
    text = line.removesuffix(b"\n").strip()
    if len(text) < 2 or text[:1] not in (b"'", b'"') or text[-1:] != text[:1]:
        raise ValueError("a string without quotes")
    return bytes(codecs.escape_decode(text[1:-1])[0])


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _value(name: str, argument: Any) -> Any:
    if name in _FIXED:
        return _FIXED[name]
    if name.endswith("BINSTRING"):
        return argument.encode("latin-1")  # pickletools shows Python 2's bytes as text
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
        case _ElementType(), (_, str() | bytes() as order, *_):
            target.big = _text(order) == ">"
        case PlainArray(), (_, _, _ElementType(kind, big), _, bytes() as raw):
            target.kind, target.data, target.big = kind, raw, big
        case _:
            raise _ForeignError("a state for an object that is not an array")
