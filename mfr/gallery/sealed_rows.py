"""How people and templates lie in the rows of an encrypted gallery's store.

Names, hashes of photos, groups and external ids are looked up by tokens. All else is sealed, and
bound to the number of its person and, of templates and crops, to that of the template: what stands
in another row does not open. So a seal is its own checksum.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from mfr.gallery.people import Details, details_from, details_text
from mfr.gallery.records import NewTemplate, has_unit_length
from mfr.gallery.rows import About, Decoded, TemplateValues
from mfr.sealing.cipher import BrokenSealError
from mfr.sealing.seal import Seal, TokenKind


class SealedRows:
    """See `mfr.gallery.rows.Rows`.

    Args:
        seal: the gallery's.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self.chain_key = seal.chain_key

    def key(self, kind: TokenKind, text: str) -> str:
        """See `Rows`."""
        return self._seal.token(kind, text)

    def label_of(self, person: int, name: str) -> bytes:
        """See `Rows`."""
        return self._seal.sealed(name.encode("utf-8", "surrogatepass"), b"name %d" % person)

    def name_of(self, person: int, key: str, label: bytes) -> str:
        """See `Rows`. The token is all that can be shown of a damaged name."""
        try:
            name = self._seal.opened(label, b"name %d" % person).decode("utf-8", "surrogatepass")
        except (BrokenSealError, UnicodeDecodeError):
            return f"{key[:12]}\\x"
        return name

    def details_for(self, person: int, details: Details) -> bytes:
        """See `Rows`."""
        return self._seal.sealed(details_text(details).encode(), b"details %d" % person)

    def details_of(self, person: int, stored: str | bytes) -> Details:
        """See `Rows`."""
        if not stored:
            return Details()
        try:
            return details_from(self._seal.opened(stored, b"details %d" % person).decode())
        except BrokenSealError as error:
            raise ValueError("broken seal") from error

    def template(
        self, number: int, person: int, name: str, template: NewTemplate
    ) -> TemplateValues:
        """See `Rows`."""
        embedding = np.ascontiguousarray(template.embedding, dtype="<f4").tobytes()
        known = [template.source, template.photo_sha256, dict(template.quality), template.detector]
        place = b"%d of %d" % (number, person)
        return TemplateValues(
            self._seal.sealed(embedding, b"embedding " + place),
            self._seal.sealed(
                json.dumps(known).encode("utf-8", "surrogatepass"), b"about " + place
            ),
            "",
            self._seal.token("photo", template.photo_sha256),
            "",
            b"",
        )

    def decoded(self, rows: Sequence[Any], size: int) -> Decoded:
        """See `Rows`."""
        embeddings = np.zeros((len(rows), size), np.float32)
        sound = np.zeros(len(rows), bool)
        names: dict[int, str] = {}
        owners: list[str] = []
        for place, (number, embedding, key, _, _, person, label) in enumerate(rows):
            if key is not None and person not in names:
                names[person] = self.name_of(person, key.decode("ascii", "replace"), label)
            owners.append("" if key is None else names[person])
            try:
                plain = self._seal.opened(embedding, b"embedding %d of %d" % (number, person))
            except (BrokenSealError, TypeError):
                continue
            if key is not None and len(plain) == 4 * size:
                embeddings[place] = np.frombuffer(plain, "<f4")
                sound[place] = True
        return Decoded(embeddings, sound & has_unit_length(embeddings), owners)

    def described(self, number: int, person: int, row: Sequence[Any]) -> About:
        """See `Rows`."""
        try:
            plain = self._seal.opened(row[2], b"about %d of %d" % (number, person))
            return About(*json.loads(plain.decode("utf-8", "surrogatepass")))
        except (BrokenSealError, ValueError, TypeError):
            return About("", "", {}, "")

    def crop(
        self, number: int, person: int, name: str, template: NewTemplate
    ) -> tuple[bytes, bytes]:
        """See `Rows`."""
        return self._seal.sealed(template.crop, b"crop %d of %d" % (number, person)), b""

    def crop_of(
        self, number: int, person: int, name: bytes | None, photo: bytes, row: Sequence[Any]
    ) -> bytes | None:
        """See `Rows`."""
        try:
            return self._seal.opened(row[0], b"crop %d of %d" % (number, person))
        except BrokenSealError:
            return None
