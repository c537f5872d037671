"""Photos become templates: what a gallery needs of a recogniser, and what it keeps of a photo."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mfr.errors import ConfigError, FaceError, PoorFaceError
from mfr.gallery.records import NewTemplate, check_embeddings

if TYPE_CHECKING:  # They import more than reading a gallery needs.
    import numpy as np

    from mfr.conditions import Calibrations
    from mfr.faces.choice import OneFace
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

    @property
    def doubtful(self) -> bool:
        """Whether another face of the photo may be meant as well."""

    @property
    def flaws(self) -> Sequence[str]:
        """Why the face is too poor to be relied on, a clause each."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What makes the embedding less reliable, a sentence each."""


class PhotoRecogniser(Protocol):
    """The part of an `mfr.recogniser.Recogniser` that a gallery uses."""

    @property
    def model_hash(self) -> str:
        """Two recognisers with the same hash make comparable embeddings."""

    @property
    def embedding_size(self) -> int:
        """D, the length of an embedding."""

    @property
    def calibration(self) -> Calibrations | None:
        """What scores mean, if that was measured."""

    def embed_photo(self, photo: Photo, /, *, face: OneFace = "main") -> EmbeddedPhoto:
        """Embed the face in a photo."""


def embed_templates(
    recogniser: PhotoRecogniser,
    photos: Sequence[Photo],
    *,
    face: OneFace = "only",
    any_quality: bool = False,
) -> list[NewTemplate]:
    """A template of each photo, not stored anywhere yet.

    Args:
        recogniser: embeds the photos.
        photos: paths, or the bytes of image files; at least one.
        face: which face of a photo with several; 'only' refuses such photos.
        any_quality: take poor faces too.

    Raises:
        PoorFaceError: a face is too small, dark, bright or blurred to be relied on.
        MfrError: there are no photos, or one is unusable.
    """
    if isinstance(photos, str | bytes | Path) or not photos:
        raise ConfigError("Give a list of photos, at least one.")
    return [_template(recogniser, photo, face, any_quality) for photo in photos]


def embed_probes(
    recogniser: PhotoRecogniser, photos: Photo | Sequence[Photo], *, face: OneFace = "main"
) -> list[EmbeddedPhoto]:
    """The chosen face of a photo, or of each of several, embedded.

    Raises:
        MfrError: there are no photos, or one is unusable.
    """
    several = [photos] if isinstance(photos, str | bytes | Path) else photos
    if not several:
        raise ConfigError("Give a photo, at least one.")
    return [recogniser.embed_photo(photo, face=face) for photo in several]


def _template(
    recogniser: PhotoRecogniser, photo: Photo, face: OneFace, any_quality: bool
) -> NewTemplate:
    embedded = recogniser.embed_photo(photo, face=face)
    if embedded.flaws and not any_quality:
        raise PoorFaceError(
            f"The face in {embedded.name} is too poor to enroll: {', and '.join(embedded.flaws)}; "
            "use a better photo, or insist with --any-quality."
        )
    if embedded.doubtful and face == "main":
        raise FaceError(
            f"It is not clear which face of {embedded.name} is meant: crop it to one, or say which "
            "with --face largest or central."
        )
    check_embeddings(embedded.embedding[None], recogniser.embedding_size)
    quality = dataclasses.asdict(embedded.quality)
    return NewTemplate(
        embedded.embedding,
        _digest(photo),
        _storable(embedded.name),
        {name: float(value) for name, value in quality.items()},
        embedded.detector,
        embedded.remarks,
    )


def _digest(photo: Photo) -> str:
    """SHA-256 of the photo's bytes; read after it was decoded, so its size is within limits."""
    if isinstance(photo, bytes):
        return hashlib.sha256(photo).hexdigest()
    return hashlib.sha256(Path(photo).read_bytes()).hexdigest()


def _storable(name: str) -> str:
    """A file name as text that any file can hold: bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()
