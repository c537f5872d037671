"""Names of identities: any text that can be seen, kept in one spelling."""

from __future__ import annotations

import unicodedata
from typing import Final

import idna

from mfr.errors import GalleryError

NAME_LIMIT: Final = 200
"""The longest name of an identity, in characters."""

_JOINERS: Final = "\u200c\u200d"

_BLANK_LETTERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that show nothing: the grapheme joiner, fillers of Hangul, vowels of Khmer."""


def identity_name(name: str) -> str:
    """The name as it is kept: in Unicode's normal form C, without white space around it.

    Nothing invisible is taken, because two names that look alike would be two people: no format
    characters but joiners where they change how a word looks (RFC 5892, appendix A: in Arabic and
    Indic scripts), and variation selectors only after what has variants.

    Raises:
        GalleryError: it is blank, longer than `NAME_LIMIT`, or has characters that cannot be seen.
    """
    kept = spelled_name(name)
    hidden = sorted({kept[place] for place in range(len(kept)) if _is_hidden(kept, place)})
    if hidden:
        codes = ", ".join(f"U+{ord(character):04X}" for character in hidden)
        raise GalleryError(
            f"The name {_escaped(kept)} has characters that cannot be seen ({codes}), with which "
            "two people's names look the same: leave them out."
        )
    return kept


def spelled_name(name: str) -> str:
    """The name as it would be kept, were it enrolled before hidden characters were refused.

    Raises:
        GalleryError: it is blank, longer than `NAME_LIMIT`, or has control characters.
    """
    kept = unicodedata.normalize("NFC", name).strip()
    if not kept:
        raise GalleryError("The name of an identity is blank: give it a name.")
    if len(kept) > NAME_LIMIT:
        raise GalleryError(
            f"The name '{kept[:20]}...' has {len(kept)} characters: use at most {NAME_LIMIT}."
        )
    # Controls, lone surrogates (bytes that were not UTF-8), line and paragraph separators.
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in kept):
        raise GalleryError(
            f"The name {_escaped(kept)} has characters that cannot be shown: use letters, digits, "
            "spaces and punctuation."
        )
    return kept


def _is_hidden(name: str, place: int) -> bool:
    """Whether the character at ``place`` is one that cannot be seen there."""
    character, before = name[place], name[place - 1] if place else ""
    if character in _JOINERS:
        return not _joins(name, place)
    if unicodedata.name(character, "").startswith(("VARIATION SELECTOR", "MONGOLIAN FREE VARI")):
        script = unicodedata.name(before, "") if before else ""
        return not (script.startswith(("CJK", "MONGOLIAN")) or _is_sign(before))
    return character in _BLANK_LETTERS or unicodedata.category(character) == "Cf"


def _joins(name: str, place: int) -> bool:
    try:
        return idna.valid_contextj(name, place)
    except ValueError:
        return False


def _is_sign(character: str) -> bool:
    """Whether it is a symbol, which may have a form as text and one as a picture."""
    return bool(character) and unicodedata.category(character) in ("So", "Sm", "Sk", "Po")


def _escaped(name: str) -> str:
    return name.encode("unicode_escape").decode()
