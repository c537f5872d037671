"""Two photos compared, without a gallery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mfr.decision import DEFAULT_FMR, Decision, FaceToTake, choose_threshold, cosine, decide

if TYPE_CHECKING:
    from mfr.model_file import Calibration


class EmbeddedPhoto(Protocol):
    """What an encoder makes of a photo: the part a gallery uses."""

    @property
    def embedding(self) -> np.ndarray:
        """(D,) float32, unit length."""

    @property
    def quality(self) -> Any:
        """A dataclass of numbers, kept with the template."""

    @property
    def name(self) -> str:
        """What to call the photo in messages."""


class PhotoEncoder(Protocol):
    """The part of an `mfr.encoder.Encoder` that galleries and comparisons use."""

    @property
    def model_hash(self) -> str:
        """Hash of everything that shapes an embedding."""

    @property
    def embedding_size(self) -> int:
        """D."""

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean, if that was measured."""

    def embed_photo(self, source: Any, *, face: FaceToTake = "largest") -> EmbeddedPhoto:
        """Embed the face in a photo."""


def compare(
    encoder: PhotoEncoder,
    first: str | Path | bytes,
    second: str | Path | bytes,
    *,
    fmr: float = DEFAULT_FMR,
    threshold: float | None = None,
    face: FaceToTake = "largest",
) -> Decision:
    """Whether two photos show the same person.

    Raises:
        MfrError: a photo is unusable, or as `choose_threshold` says.
    """
    chosen = choose_threshold(encoder.calibration, fmr, threshold)
    one, other = (encoder.embed_photo(photo, face=face).embedding for photo in (first, second))
    return decide(cosine(one[None], other), chosen, encoder.calibration)
