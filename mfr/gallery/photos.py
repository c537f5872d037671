"""Photos become templates: what a gallery needs of a recogniser, and what it keeps of a photo."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mfr.errors import ConfigError, FaceError, ImageError, PoorFaceError
from mfr.gallery.crops import crop_bytes
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
    def crop(self) -> np.ndarray:
        """(112, 112, 3) uint8 RGB, aligned."""

    @property
    def detector(self) -> str:
        """The name of the detector that found the face."""

    @property
    def faces(self) -> int:
        """How many faces the photo shows."""

    @property
    def doubtful(self) -> bool:
        """Whether another face of the photo may be meant as well."""

    @property
    def unlike(self) -> bool:
        """Whether the face looks like nothing that the model was measured on."""

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


@runtime_checkable
class BulkRecogniser(PhotoRecogniser, Protocol):
    """The part of an `mfr.recogniser.Recogniser` that enrolling many people uses."""

    def embed_each(
        self, photos: Iterable[Photo], /, *, face: OneFace = "main"
    ) -> Generator[EmbeddedPhoto | ImageError | FaceError, None, None]:
        """Embed one face of each photo, in order; what cannot be used gives its error instead."""


class MovingRecogniser(BulkRecogniser, Protocol):
    """The part of an `mfr.recogniser.Recogniser` that moving to another model uses."""

    def embed_faces(self, photo: Photo, /) -> Sequence[EmbeddedPhoto]:
        """Embed all faces of a photo."""

    def embed_crops(self, crops: np.ndarray, /) -> np.ndarray:
        """Embed crops (n, 112, 112, 3) uint8 RGB: (n, D) float32, unit length."""


def embed_templates(
    recogniser: PhotoRecogniser,
    photos: Sequence[Photo],
    *,
    face: OneFace = "only",
    any_quality: bool = False,
    keep_crops: bool = False,
) -> list[NewTemplate]:
    """A template of each photo, not stored anywhere yet.

    Args:
        recogniser: embeds the photos.
        photos: paths, or the bytes of image files; at least one.
        face: which face of a photo with several; 'only' refuses such photos.
        any_quality: take poor faces too.
        keep_crops: let the templates have the crops of their faces.

    Raises:
        PoorFaceError: a face is too poor to be relied on (`mfr.faces.quality.flaws`).
        MfrError: there are no photos, or one is unusable.
    """
    if isinstance(photos, str | bytes | Path) or not photos:
        raise ConfigError("Give a list of photos, at least one.")
    templates = []
    for photo in photos:
        embedded = recogniser.embed_photo(photo, face=face)
        insist_on_a_good_face(embedded, face, any_quality=any_quality)
        # The photo's bytes are read after it was decoded, so their number is within limits.
        data = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
        templates.append(
            template_of(embedded, recogniser, photo, photo_digest(data), keep_crop=keep_crops)
        )
    return templates


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


def insist_on_a_good_face(embedded: EmbeddedPhoto, face: OneFace, *, any_quality: bool) -> None:
    """Refuse a face that is not to be relied on for years.

    Args:
        embedded: the face.
        face: by which choice it was taken.
        any_quality: take poor faces too.

    Raises:
        PoorFaceError: it is too poor (`mfr.faces.quality.flaws`).
        FaceError: another face of the photo may be meant as well.
    """
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


def template_of(
    embedded: EmbeddedPhoto,
    recogniser: PhotoRecogniser,
    photo: Photo,
    digest: str,
    *,
    keep_crop: bool,
) -> NewTemplate:
    """The template of an embedded photo.

    Args:
        embedded: its face.
        recogniser: what embedded it.
        photo: the photo; of a path, the absolute one is kept, where it can be found again.
        digest: SHA-256 of its bytes, in hexadecimal.
        keep_crop: let the template have the crop.

    Raises:
        GalleryError: the embedding is not finite and of unit length.
    """
    check_embeddings(embedded.embedding[None], recogniser.embedding_size)
    quality = dataclasses.asdict(embedded.quality)
    return NewTemplate(
        embedded.embedding,
        digest,
        storable(embedded.name if isinstance(photo, bytes) else str(Path(photo).absolute())),
        {name: float(value) for name, value in quality.items()},
        embedded.detector,
        embedded.remarks,
        crop_bytes(embedded.crop) if keep_crop else b"",
    )


def photo_digest(data: bytes) -> str:
    """By what a photo is known again: SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def storable(name: str) -> str:
    """A file name as text that any file can hold: bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()
