"""One comparison judged: a score, the threshold it is held against, and what that risks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np

from mfr.errors import ConfigError, ModelError

if TYPE_CHECKING:  # mfr.model_file brings torch along; nothing here needs it to run.
    from mfr.model_file import Calibration

DEFAULT_FMR: Final = 1e-3
"""The false-match rate a comparison is judged at unless another is asked for."""

FaceToTake = Literal["largest", "central", "only"]
"""Which face of a photo is meant; 'only' refuses a photo with several."""


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
        """What to call the photo."""


class PhotoEncoder(Protocol):
    """The part of an `mfr.encoder.Encoder` that galleries and comparisons use."""

    @property
    def model_hash(self) -> str:
        """Of all that shapes an embedding."""

    @property
    def embedding_size(self) -> int:
        """D."""

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean, if that was measured."""

    def embed_photo(self, source: Any, *, face: FaceToTake = "largest") -> EmbeddedPhoto:
        """Embed the face in a photo."""


@dataclass(frozen=True)
class Decision:
    """Whether two faces are taken for one person.

    Attributes:
        match: ``score >= threshold``.
        score: cosine, -1 to 1.
        threshold: what the score was held against.
        fmr: the measured rate at which that threshold takes two strangers for one person; None
            when the threshold was given and the model has no calibration to tell.
    """

    match: bool
    score: float
    threshold: float
    fmr: float | None


def choose_threshold(calibration: Calibration | None, fmr: float, threshold: float | None) -> float:
    """``threshold`` if there is one, else the one calibrated for a false-match rate of ``fmr``.

    Raises:
        ConfigError: ``fmr`` is not in (0, 1] or ``threshold`` not in [-1, 1].
        ModelError: no threshold was given and the model has no calibration, or one too coarse.
    """
    if threshold is not None:
        if not (math.isfinite(threshold) and -1 <= threshold <= 1):
            raise ConfigError(
                f"A threshold of {threshold:g} is no cosine: use -1 <= --threshold <= 1."
            )
        return threshold
    if not 0 < fmr <= 1:
        raise ConfigError(f"A false-match rate of {fmr:g} makes no sense: use 0 < --fmr <= 1.")
    if calibration is None:
        raise ModelError(
            "This model has no calibration, so there is no threshold for a false-match rate: "
            "run 'mfr calibrate' and use the model it writes, or pass --threshold."
        )
    return calibration.threshold_at(fmr)


def decide(score: float, threshold: float, calibration: Calibration | None) -> Decision:
    """Hold ``score`` against ``threshold``; the calibration, if any, tells what that risks."""
    fmr = None if calibration is None else calibration.fmr_at(threshold)
    return Decision(score >= threshold, score, threshold, fmr)


def cosine(embeddings: np.ndarray, embedding: np.ndarray) -> float:
    """The largest cosine between the rows of ``embeddings`` (n, D) and ``embedding`` (D,)."""
    return float(np.clip((embeddings @ embedding).max(), -1, 1))


def compare(
    encoder: PhotoEncoder,
    first: str | Path | bytes,
    second: str | Path | bytes,
    *,
    fmr: float = DEFAULT_FMR,
    threshold: float | None = None,
    face: FaceToTake = "largest",
) -> Decision:
    """Whether two photos show one person.

    Raises:
        MfrError: a photo is unusable, or as `choose_threshold` says.
    """
    chosen = choose_threshold(encoder.calibration, fmr, threshold)
    one, other = (encoder.embed_photo(photo, face=face).embedding for photo in (first, second))
    return decide(cosine(one[None], other), chosen, encoder.calibration)
