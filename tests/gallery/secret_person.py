"""A person of whom nothing may be found where a gallery is encrypted."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from mfr.gallery import NewTemplate
from mfr.gallery.people import Details
from mfr.gallery.store import Store

SIZE = 64


class SecretPerson:
    """Somebody of whom everything is known.

    Args:
        tag: what tells this person from others; at least eight characters, to be looked for.
    """

    def __init__(self, tag: str) -> None:
        seed = int.from_bytes(sha256(tag.encode()).digest()[:8])
        vector = np.random.default_rng(seed).standard_normal(SIZE)
        self.name = f"Ada Lovelace-{tag}"
        self.details = Details(
            f"Countess of {tag}",
            f"EXTERNAL-{tag}",
            {"place": f"mezzanine-{tag}"},
            f"signed-{tag}",
            frozenset({f"night-shift-{tag}"}),
        )
        self.template = NewTemplate(
            (vector / np.linalg.norm(vector)).astype(np.float32),
            sha256(tag.encode()).hexdigest(),
            f"/secret/{tag}/ada.jpg",
            {"blur": 2.5},
            f"detector-of-{tag}",
            crop=f"RIFF-the-crop-of-{tag}".encode(),
        )
        embedding = self.template.embedding.tobytes()
        runs = range(len(embedding) - 7)
        self._pieces = {f"embedding {start}": embedding[start : start + 8] for start in runs}
        self.texts = {
            "name": self.name.encode(),
            "display name": self.details.display_name.encode(),
            "external id": self.details.external_id.encode(),
            "metadata": f"mezzanine-{tag}".encode(),
            "consent": self.details.consent.encode(),
            "group": f"night-shift-{tag}".encode(),
            "photo": self.template.photo_sha256.encode(),
            "source": self.template.source.encode(),
            "crop": self.template.crop,
            "detector": self.template.detector.encode(),
        }

    def enter(self, store: Store) -> None:
        """Enroll the person, with all that is known."""
        store.add(self.name, [self.template])
        store.describe(self.name, self.details)

    def found_in(self, data: bytes) -> set[str]:
        """What of the person, eight bytes of the embedding included, can be read in ``data``."""
        every = {**self.texts, **self._pieces}
        return {name for name, piece in every.items() if piece in data}
