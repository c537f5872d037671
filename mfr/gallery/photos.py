"""Photos become templates: what a gallery needs of a recogniser, and what it keeps of a photo."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mfr.errors import ConfigError
from mfr.gallery.records import NewTemplate, check_embeddings

if TYPE_CHECKING:  # They import more than reading a gallery needs.
    import numpy as np

    from mfr.calibration import Calibration
    from mfr.faces.cropping import OneFace
    from mfr.images import Photo


class EmbeddedPhoto(Protocol):
    """What a recogniser makes of a photo: the part a gallery uses."""

    @property
    def embedding(self) -> np.ndarray:
        """(D,) float32, unit length."""

    @property
    def quality(self) -> Any:
        """A dataclass of numbers, kept with the template."""

    @property
    def name(self) -> str:
        """What to call the photo in messages."""

    @property
    def detector(self) -> str:
        """The name of the detector that found the face."""


class PhotoRecogniser(Protocol):
    """The part of an `mfr.recogniser.Recogniser` that a gallery uses."""

    @property
    def model_hash(self) -> str:
        """Two recognisers with the same hash make comparable embeddings."""

    @property
    def embedding_size(self) -> int:
        """D, the length of an embedding."""

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean, if that was measured."""

    def embed_photo(self, photo: Photo, /, *, face: OneFace = "largest") -> EmbeddedPhoto:
        """Embed the face in a photo."""


def embed_templates(
    recogniser: PhotoRecogniser, photos: Sequence[Photo], *, face: OneFace = "largest"
) -> list[NewTemplate]:
    """A template of each photo, not stored anywhere yet.

    Raises:
        MfrError: there are no photos, or one is unusable.
    """
    if isinstance(photos, str | bytes | Path) or not photos:
        raise ConfigError("Give a list of photos, at least one.")
    return [_template(recogniser, photo, face) for photo in photos]


def _template(recogniser: PhotoRecogniser, photo: Photo, face: OneFace) -> NewTemplate:
    embedded = recogniser.embed_photo(photo, face=face)
    check_embeddings(embedded.embedding[None], recogniser.embedding_size)
    quality = dataclasses.asdict(embedded.quality)
    return NewTemplate(
        embedded.embedding,
        _digest(photo),
        _storable(embedded.name),
        {name: float(value) for name, value in quality.items()},
        embedded.detector,
    )


def _digest(photo: Photo) -> str:
    """SHA-256 of the photo's bytes; read after it was decoded, so its size is within limits."""
    if isinstance(photo, bytes):
        return hashlib.sha256(photo).hexdigest()
    return hashlib.sha256(Path(photo).read_bytes()).hexdigest()


def _storable(name: str) -> str:
    """A file name as text that any file can hold: bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()
