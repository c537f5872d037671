"""The rules for names that all importers share: which may be kept, and which name one human.

Names come from folders, tables and packs of all origins and scripts. They are kept as they are
written; what is decided here is only whether a name can be kept at all, and in which form names of
different domains are compared.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Final

from mfr.errors import DataError

LONGEST: Final = 200
"""The longest name, in bytes of UTF-8: a name becomes a folder's name when its photos are aligned,
and file systems allow 255 bytes."""

_JOINERS: Final = "\u200c\u200d"
"""Invisible, but Persian and the scripts of India spell with them."""

_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""The Unicode categories of what cannot be shown: controls, formats, lone surrogates, separators of
lines and paragraphs."""


def check_name(name: str, what: str, place: str) -> str:
    """Return ``name`` unchanged if it can be kept as the name of an identity or a person.

    Args:
        name: the name.
        what: what it names, such as 'identity', for the message.
        place: where it was read, for the message.

    Raises:
        DataError: it is empty, longer than `LONGEST` bytes or not valid Unicode, has characters
            that cannot be shown, or begins or ends with white space.
    """
    complaint = _complaint(name)
    if complaint is not None:
        raise DataError(
            f"{place} has the {what} {shown(name)}, which {complaint}: give it a name of 1 to "
            f"{LONGEST} bytes that can be printed."
        )
    return name


def check_domain(domain: str) -> None:
    """Check that a domain's name can name a folder and stand in a comma-separated option.

    Raises:
        DataError: it cannot.
    """
    if (
        not re.fullmatch(r"\w[\w.\- ]*", domain)
        or domain != domain.strip()
        or _complaint(domain) is not None
    ):
        raise DataError(
            f"{shown(domain)} cannot name a domain: use letters, digits, '_', '-' and '.', "
            f"beginning with a letter or digit, and at most {LONGEST} bytes."
        )


def check_path(path: str) -> None:
    """Check that a photo's path can be kept as text and printed; its length does not matter.

    Raises:
        DataError: it cannot.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"The name of {os.fsencode(path)!r} is not UTF-8: rename it.") from error
    if _unprintable(path):
        raise DataError(
            f"The name of {shown(path)} has characters that cannot be shown: rename it."
        )


def printable(text: str) -> str:
    """``text`` with everything that cannot be printed written as an escape."""
    return "".join(
        c.encode("unicode_escape", "surrogatepass").decode() if _unprintable(c) else c for c in text
    )


def shown(name: str) -> str:
    """The beginning of a name, printable and in quotes."""
    return f"'{printable(name if len(name) <= 40 else f'{name[:40]}...')}'"


def shared_name(identity: str) -> str | None:
    """The form in which names of different domains are compared; None if it means nothing there.

    Names that differ only in case, in the Unicode normal form, or in writing '_' for a space are
    taken for one human in different domains. That is the safe assumption, because it keeps a human
    from standing on both sides of a split. All else tells people apart: separators, digits,
    accents, and the vowel signs of scripts that have them. A name without a letter, such as '0007'
    or '1-11', is a number that means nothing outside its domain.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", identity).casefold())
    if not any(character.isalpha() for character in folded):
        return None
    return re.sub(r"[\s_]+", " ", folded).strip()


def own_person(domain: str, identity: str) -> str:
    """The person behind an identity that is joined with no other."""
    return f"{domain} {identity}"


def _complaint(name: str) -> str | None:
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if not name.strip():
        return "is blank"
    if name != name.strip():
        return "begins or ends with white space"
    if length > LONGEST:
        return f"is {length} bytes long"
    if _unprintable(name):
        return "has characters that cannot be shown"
    return None


def _unprintable(text: str) -> bool:
    return not text.isprintable() and any(
        unicodedata.category(character) in _UNPRINTABLE and character not in _JOINERS
        for character in text
    )
