"""AES-256-GCM with a random number for each message (NIST SP 800-38D)."""

from __future__ import annotations

import os
from typing import Final

from mfr.extras import imported

_NONCE: Final = 12
"""Bytes of the random number that each message has of its own; with as many, 2^32 messages of one
key are safe (NIST SP 800-38D, section 8.3)."""


class BrokenSealError(Exception):
    """What was to be opened is not what was sealed, or stands in another place."""


class Cipher:
    """Seals bytes with one key. Threads may share it.

    Args:
        key: 32 bytes.

    Raises:
        ConfigError: the package cryptography is not installed.
    """

    def __init__(self, key: bytes) -> None:
        imported("cryptography", instead=None)
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._gcm = AESGCM(key)
        self._wrong = InvalidTag

    def sealed(self, plain: bytes, place: bytes) -> bytes:
        """``plain`` so that only `opened` with the same ``place`` gives it back."""
        nonce = os.urandom(_NONCE)
        return nonce + self._gcm.encrypt(nonce, plain, place)

    def opened(self, sealed: object, place: bytes) -> bytes:
        """What `sealed` was given.

        Raises:
            BrokenSealError: it is something else, was changed, or belongs to another place.
        """
        if not isinstance(sealed, bytes) or len(sealed) < _NONCE:
            raise BrokenSealError
        try:
            return self._gcm.decrypt(sealed[:_NONCE], sealed[_NONCE:], place)
        except self._wrong as error:
            raise BrokenSealError from error
