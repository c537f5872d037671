"""What users wrote outside MFR, checked before it is called as MFR calls its own."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from mfr.errors import MfrError


def require_call(
    what: str,
    function: object,
    positional: Sequence[str],
    keywords: Sequence[str] = (),
    *,
    error: type[MfrError],
) -> None:
    """Refuse a function, or a class, that does not take the arguments it will be given.

    Args:
        what: the function in words, the first of a sentence: "The loss 'my.losses:mine'".
        function: what will be called.
        positional: its positional arguments, as the message names them.
        keywords: its keyword arguments, by the names they will be given with.
        error: what is raised.

    Raises:
        MfrError: of class ``error``, if it cannot be called, or not with these arguments.
    """
    arguments = ", ".join([*positional, *(f"{name}=..." for name in keywords)])
    if not callable(function):
        raise error(f"{what} is not a function or a class: name one that takes ({arguments}).")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C, it may not say what it takes
        return
    try:
        signature.bind(*positional, **dict.fromkeys(keywords))
    except TypeError as problem:
        raise error(
            f"{what} has to take ({arguments}), and takes {signature} ({problem}): change it."
        ) from problem
