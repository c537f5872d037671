"""How people and templates lie in the rows of a store, and the plain kind: as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from mfr.gallery import checksums
from mfr.gallery.people import Details, details_from, details_text
from mfr.gallery.records import NewTemplate, quality_from
from mfr.sealing.seal import TokenKind


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


class TemplateValues(NamedTuple):
    """What a row of a template holds besides numbers and a date; a sealed quality is bytes."""

    embedding: bytes
    quality: str | bytes
    source: str
    photo: str
    detector: str
    checksum: bytes


class Rows(Protocol):
    """Turns records into the values of rows and back; whose rows they are, a store knows."""

    @property
    def chain_key(self) -> bytes:
        """What the audit log is chained with."""

    def key(self, kind: TokenKind, text: str) -> str:
        """What stands in a row for a name, a photo's hash, a group or an external id."""

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
    ) -> TemplateValues:
        """The values of a new row."""

    def decoded(self, rows: Sequence[Any], size: int) -> Decoded:
        """The templates of rows, of ``size`` numbers each.

        A row has the template's id and embedding, its person's name and its photo, both as bytes,
        its checksum, and its person's number and label. The name of one that is nobody's is None.
        """

    def described(self, number: int, person: int, row: Sequence[Any]) -> About:
        """What the rest of a row says: its source, photo, quality and detector."""

    def crop(
        self, number: int, person: int, name: str, template: NewTemplate
    ) -> tuple[bytes, bytes]:
        """Crop and checksum of a new row."""

    def crop_of(
        self, number: int, person: int, name: bytes | None, photo: bytes, row: Sequence[Any]
    ) -> bytes | None:
        """The crop of a row's crop and checksum; None if it is not what was stored."""


class PlainRows:
    """See `Rows`."""

    chain_key: Final = b""

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
    ) -> TemplateValues:
        """See `Rows`."""
        embedding = np.ascontiguousarray(template.embedding, dtype="<f4").tobytes()
        photo = template.photo_sha256
        return TemplateValues(
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
