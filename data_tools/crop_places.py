"""Where the crop of each photo lies: a place for every row that no other row has."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Final

_LONGEST: Final = 255
"""The longest name of a file or folder, in bytes, on the file systems in use."""

_DIGITS: Final = 12  # of a hash; 48 bits tell names of one folder apart
_SUFFIX: Final = ".png"


def free_place(path: str, domain: str, identity: str, taken: Collection[str]) -> str:
    """The place for the crop of a photo, relative to the dataset.

    It is ``crops/<domain>/<identity>/<stem>.png``, or has the photo's whole name, or a number,
    whichever is free first.

    Args:
        path: the photo's path in its row.
        domain: the row's domain.
        identity: the row's identity.
        taken: the places that other rows have.
    """
    photo = PurePosixPath(path)
    folder = PurePosixPath("crops", component(domain), component(identity))
    for name in (photo.stem, photo.name):
        if (place := str(folder / component(name, _SUFFIX))) not in taken:
            return place
    number = 2
    while (place := str(folder / component(photo.name, f"~{number}{_SUFFIX}"))) in taken:
        number += 1
    return place


def component(name: str, suffix: str = "") -> str:
    """``name`` and ``suffix`` as the name of one file or folder, of at most 255 bytes.

    What cannot stand in such a name is written as %XX, and '.' and '..' are too, so that no
    manifest can lead out of the dataset. Of a name that is too long, the beginning and a hash stay.
    """
    plain = "".join(
        f"%{ord(c):02X}" if c == "/" or ord(c) < 32 or ord(c) == 127 else c for c in name
    )
    if plain + suffix in (".", ".."):
        plain = plain.replace(".", "%2E")
    room = _LONGEST - len(suffix.encode())
    encoded = plain.encode(errors="replace")
    if len(encoded) <= room:
        return plain + suffix
    digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:_DIGITS]
    begun = encoded[: room - _DIGITS - 1].decode(errors="ignore")
    return f"{begun}~{digest}{suffix}"
