"""The columns in which a gallery file keeps people and templates, and what is in them."""

from __future__ import annotations

from typing import Final

from mfr.gallery.rows import PlainRows, Rows
from mfr.gallery.sealed_rows import SealedRows
from mfr.sealing.seal import Seal

WITH_DETAILS: Final = 5
"""The first format whose files have details of people, and may be encrypted."""


class FileRows:
    """The rows of one gallery file.

    Attributes:
        content: what is in the columns.
        columns: of a template, as ``content.decoded`` takes them.
        about: of a template, as ``content.described`` takes them after its id and the person's
            number.
        label: the column of a person's label.
        details: the column of a person's details.

    Args:
        content: see above.
        version: of the file's format; older ones lack some columns.
    """

    def __init__(self, content: Rows, version: int) -> None:
        self.content = content
        checksum = "checksum" if version >= 3 else "x''"
        self.label = "label" if version >= WITH_DETAILS else "x''"
        self.details = "details" if version >= WITH_DETAILS else "''"
        self.columns = (
            f"templates.id, embedding, CAST(name AS BLOB), CAST(photo_sha256 AS BLOB), {checksum}, "
            f"identity_id, {self.label}"
        )
        self.about = f"source, photo_sha256, quality, {'detector' if version >= 2 else chr(39) * 2}"


def plain(version: int) -> FileRows:
    """The rows of a file of a format that is not encrypted."""
    return FileRows(PlainRows(), version)


def sealed(seal: Seal) -> FileRows:
    """The rows of an encrypted file."""
    return FileRows(SealedRows(seal), WITH_DETAILS)
