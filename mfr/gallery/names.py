"""Names of identities: any text that can be shown, kept in one spelling."""

from __future__ import annotations

import unicodedata
from typing import Final

from mfr.errors import GalleryError

NAME_LIMIT: Final = 200
"""The longest name of an identity, in characters."""


def identity_name(name: str) -> str:
    """The name as it is kept: in Unicode's normal form C, without white space around it.

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
            f"The name {kept.encode('unicode_escape').decode()} has characters that cannot be "
            "shown: use letters, digits, spaces and punctuation."
        )
    return kept
