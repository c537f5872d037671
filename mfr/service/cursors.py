"""Where a list goes on: signed, so that only what the service gave out comes back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

from mfr.service.problems import ServiceError

_SIGNED: Final = 16


class Cursors:
    """Makes and reads them.

    Args:
        secret: of the service.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def made(self, after: int, question: str) -> str:
        """A cursor for the place after the number ``after`` in the answer to ``question``."""
        text = str(after).encode()
        return base64.urlsafe_b64encode(self._signature(text, question) + text).decode()

    def read(self, cursor: str, question: str) -> int:
        """The number that `made` was given.

        Raises:
            ServiceError: the cursor was made elsewhere, or for another question.
        """
        try:
            data = base64.b64decode(cursor.encode("ascii"), b"-_", validate=True)
        except (ValueError, binascii.Error):
            data = b""
        signature, text = data[:_SIGNED], data[_SIGNED:]
        if not hmac.compare_digest(signature, self._signature(text, question)):
            raise ServiceError(
                422, "bad-cursor", "The cursor is not of this list: begin again without one."
            )
        return int(text)

    def _signature(self, text: bytes, question: str) -> bytes:
        message = hashlib.sha256(question.encode("utf-8", "replace")).digest() + text
        return hmac.digest(self._secret, message, "sha256")[:_SIGNED]
