"""What seals the contents of one gallery and opens them again."""

from __future__ import annotations

import hmac
import os
from hashlib import sha256
from typing import Final, Literal

from mfr.extras import imported

_NONCE: Final = 12
"""Bytes of the random number that each message has of its own; with as many, 2^32 messages of one
key are safe (NIST SP 800-38D, section 8.3)."""

TokenKind = Literal["name", "external id", "group", "photo"]


class BrokenSealError(Exception):
    """What was to be opened is not what was sealed, or stands in another place."""


class Seal:
    """Seals bytes with a gallery's data key. Threads may share it.

    Three keys are derived from it (HKDF, RFC 5869): one seals, one makes tokens, one chains the
    audit log.

    Args:
        data_key: 32 random bytes.

    Raises:
        ConfigError: the package cryptography is not installed.
    """

    def __init__(self, data_key: bytes) -> None:
        imported("cryptography", instead=None)
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(_derived(data_key, b"contents"))
        self._tokens = _derived(data_key, b"tokens")
        self.chain_key = _derived(data_key, b"audit")

    def sealed(self, plain: bytes, place: bytes) -> bytes:
        """``plain`` so that only `opened` with the same ``place`` gives it back."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, place)

    def opened(self, sealed: object, place: bytes) -> bytes:
        """What `sealed` was given.

        Raises:
            BrokenSealError: it is something else, was changed, or belongs to another place.
        """
        from cryptography.exceptions import InvalidTag

        if not isinstance(sealed, bytes) or len(sealed) < _NONCE:
            raise BrokenSealError
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place)
        except InvalidTag as error:
            raise BrokenSealError from error

    def token(self, kind: TokenKind, text: str) -> str:
        """What stands for ``text`` where it is looked up: 64 hexadecimal digits (HMAC-SHA256).

        The same text always has the same token, and only who has the key can make it.
        """
        message = kind.encode() + b"\0" + text.encode("utf-8", "surrogatepass")
        return hmac.digest(self._tokens, message, "sha256").hex()


def _derived(data_key: bytes, purpose: bytes) -> bytes:
    """HKDF of RFC 5869 with SHA-256, no salt, and one block of output: 32 bytes."""
    extracted = hmac.digest(bytes(sha256().digest_size), data_key, "sha256")
    return hmac.digest(extracted, b"mfr gallery " + purpose + b"\x01", "sha256")
