"""A gallery's data key, wrapped by the user's master key: a short text that the gallery keeps."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from typing import Final

from mfr.errors import GalleryDamagedError, GalleryKeyError
from mfr.sealing.cipher import BrokenSealError, Cipher
from mfr.sealing.master_key import COMMAND_VARIABLE, FILE_VARIABLE, KEY_BYTES, KEY_VARIABLE

_VERSION: Final = 1
_PLACE: Final = b"mfr gallery data key 1"


def new_data_key() -> bytes:
    """32 random bytes."""
    return os.urandom(KEY_BYTES)


def wrapped(data_key: bytes, master: bytes) -> str:
    """The text from which `unwrapped` gets the data key with the same master key.

    Raises:
        ConfigError: the package cryptography is not installed.
    """
    sealed = Cipher(master).sealed(data_key, _PLACE)
    return json.dumps({"version": _VERSION, "key": key_name(master), "wrapped": sealed.hex()})


def unwrapped(text: str, master: bytes | None, where: object) -> bytes:
    """The data key.

    Args:
        text: what `wrapped` gave.
        master: the master key, if there is one.
        where: what the gallery is called in errors.

    Raises:
        GalleryKeyError: the key is missing, or is another one.
        GalleryDamagedError: the text is damaged.
        ConfigError: the package cryptography is not installed.
    """
    try:
        kept = json.loads(text)
        name, sealed = str(kept["key"]), bytes.fromhex(kept["wrapped"])
        if kept["version"] != _VERSION:
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise GalleryDamagedError(
            f"The wrapped key of {where} is damaged: restore the gallery from a backup."
        ) from error
    if master is None:
        raise GalleryKeyError(
            f"{where} is encrypted with the key {name}: name it with --key-file or --key-command, "
            f"or in the environment's {KEY_VARIABLE}, {FILE_VARIABLE} or {COMMAND_VARIABLE}."
        )
    if key_name(master) != name:
        raise GalleryKeyError(
            f"{where} is encrypted with the key {name}, not with yours, {key_name(master)}: give "
            "the right one."
        )
    try:
        return Cipher(master).opened(sealed, _PLACE)
    except BrokenSealError as error:
        raise GalleryDamagedError(
            f"The wrapped key of {where} is damaged: restore the gallery from a backup."
        ) from error


def key_name(master: bytes) -> str:
    """What tells a master key from others without giving it away: 16 hexadecimal digits."""
    return sha256(b"mfr gallery master key\0" + master).hexdigest()[:16]
