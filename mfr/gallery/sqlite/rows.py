"""How people and templates lie in a gallery file's rows, as they are: the plain kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from mfr.gallery import checksums
from mfr.gallery.people import Details, details_from, details_text
from mfr.gallery.records import NewTemplate, quality_from
from mfr.sealing.seal import TokenKind

WITH_DETAILS: Final = 5
"""The first format whose files have details of people."""


class Decoded(NamedTuple):
    """Templates as they were read.

    Attributes:
        embeddings: (n, D) float32; those that are not sound are anything.
        sound: (n,) bool, which are what was stored.
        owners: whose each is; empty for one that is nobody's.
    """

    embeddings: np.ndarray
    sound: np.ndarray
    owners: list[str]


class About(NamedTuple):
    """What is known of a template besides its embedding."""

    source: str
    photo_sha256: str
    quality: Any
    detector: str


class Rows(Protocol):
    """Turns records into the values of rows and back.

    Attributes:
        columns: of a template, as ``decoded`` takes them: its id, embedding, person's name and
            photo, checksum, person's number and label.
        about: of a template, as ``described`` takes them after its id and the person's number.
        label: the column of a person's label.
        details: the column of a person's details.
        chain_key: of the audit log.
    """

    @property
    def columns(self) -> str:
        """See above."""

    @property
    def about(self) -> str:
        """See above."""

    @property
    def label(self) -> str:
        """See above."""

    @property
    def details(self) -> str:
        """See above."""

    @property
    def chain_key(self) -> bytes:
        """See above."""

    def key(self, kind: TokenKind, text: str) -> str:
        """What stands in the file for a name, a photo's hash, a group or an external id."""

    def label_of(self, person: int, name: str) -> bytes:
        """What the column ``label`` of a person holds."""

    def name_of(self, person: int, key: str, label: bytes) -> str:
        """The name of a person; a damaged one as far as it can be shown."""

    def details_for(self, person: int, details: Details) -> str | bytes:
        """What the column ``details`` of a person holds."""

    def details_of(self, person: int, stored: str | bytes) -> Details:
        """The details of a person.

        Raises:
            ValueError: they are not what was stored.
        """

    def template(
        self, number: int, person: int, name: str, template: NewTemplate
    ) -> tuple[Any, ...]:
        """Embedding, quality, source, photo, detector and checksum of a new row."""

    def decoded(self, rows: Sequence[Any], size: int) -> Decoded:
        """The templates of rows of ``columns``, of ``size`` numbers each."""

    def described(self, number: int, person: int, row: Sequence[Any]) -> About:
        """What the rest of a row, its columns ``about``, says."""

    def crop(
        self, number: int, person: int, name: str, template: NewTemplate
    ) -> tuple[bytes, bytes]:
        """Crop and checksum of a new row."""

    def crop_of(
        self, number: int, person: int, name: bytes | None, photo: bytes, row: Sequence[Any]
    ) -> bytes | None:
        """The crop of a row's crop and checksum; None if it is not what was stored."""


class PlainRows:
    """See `Rows`.

    Args:
        version: of the file's format; older ones lack some columns.
    """

    chain_key: Final = b""

    def __init__(self, version: int) -> None:
        checksum = "checksum" if version >= 3 else "x''"
        self.label = "label" if version >= WITH_DETAILS else "x''"
        self.details = "details" if version >= WITH_DETAILS else "''"
        self.columns = (
            f"templates.id, embedding, CAST(name AS BLOB), CAST(photo_sha256 AS BLOB), {checksum}, "
            f"identity_id, {self.label}"
        )
        self.about = f"source, photo_sha256, quality, {'detector' if version >= 2 else chr(39) * 2}"

    def key(self, kind: TokenKind, text: str) -> str:
        """See `Rows`."""
        return text

    def label_of(self, person: int, name: str) -> bytes:
        """See `Rows`."""
        return b""

    def name_of(self, person: int, key: str, label: bytes) -> str:
        """See `Rows`."""
        return key

    def details_for(self, person: int, details: Details) -> str:
        """See `Rows`."""
        return details_text(details)

    def details_of(self, person: int, stored: str | bytes) -> Details:
        """See `Rows`."""
        if not isinstance(stored, str):
            raise ValueError("no text")
        return details_from(stored)

    def template(
        self, number: int, person: int, name: str, template: NewTemplate
    ) -> tuple[Any, ...]:
        """See `Rows`."""
        embedding = np.ascontiguousarray(template.embedding, dtype="<f4").tobytes()
        photo = template.photo_sha256
        return (
            embedding,
            json.dumps(dict(template.quality), sort_keys=True),
            template.source,
            photo,
            template.detector,
            checksums.checksum(number, name.encode(), photo.encode(), embedding),
        )

    def decoded(self, rows: Sequence[Any], size: int) -> Decoded:
        """See `Rows`."""
        embeddings, sound = checksums.decoded([row[:5] for row in rows], size)
        names = [b"" if row[2] is None else row[2] for row in rows]
        return Decoded(
            embeddings, sound, [name.decode("utf-8", "backslashreplace") for name in names]
        )

    def described(self, number: int, person: int, row: Sequence[Any]) -> About:
        """See `Rows`."""
        source, photo, quality, detector = row
        return About(source, photo, quality_from(quality), detector)

    def crop(
        self, number: int, person: int, name: str, template: NewTemplate
    ) -> tuple[bytes, bytes]:
        """See `Rows`."""
        photo = template.photo_sha256.encode()
        return template.crop, checksums.checksum(number, name.encode(), photo, template.crop)

    def crop_of(
        self, number: int, person: int, name: bytes | None, photo: bytes, row: Sequence[Any]
    ) -> bytes | None:
        """See `Rows`."""
        crop, kept = row
        sound = isinstance(crop, bytes) and name is not None
        if sound and kept == checksums.checksum(number, name or b"", photo, crop):
            return bytes(crop)
        return None
