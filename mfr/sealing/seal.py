"""What seals the contents of one gallery and opens them again."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Literal

from mfr.sealing.cipher import Cipher

TokenKind = Literal["name", "external id", "group", "photo"]


class Seal(Cipher):
    """Seals bytes with a gallery's data key. Threads may share it.

    Three keys are derived from it (HKDF, RFC 5869): one seals, one makes tokens, one chains the
    audit log.

    Args:
        data_key: 32 random bytes.

    Raises:
        ConfigError: the package cryptography is not installed.
    """

    def __init__(self, data_key: bytes) -> None:
        super().__init__(_derived(data_key, b"contents"))
        self._tokens = _derived(data_key, b"tokens")
        self.chain_key = _derived(data_key, b"audit")

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
