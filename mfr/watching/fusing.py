"""The embeddings of one face on many frames, fused into one."""

from __future__ import annotations

from typing import Final

import numpy as np

from mfr.faces.quality import Quality, flaws

FULL_INTER_OCULAR: Final = 35.0
"""Eyes so many pixels apart fill the crop: a larger face shows it no more."""

FULL_BLUR: Final = 90.0
"""The measure of blur (`mfr.faces.quality.Quality`) from which on a face counts as sharp: about the
median of photos as they are."""

POOR: Final = 0.01
"""The share of its weight that a face keeps which is too poor to be relied on."""


def weight(quality: Quality) -> float:
    """What a face counts for in the mean, above 0 and at most 1.

    It is the product of the detector's certainty, of the distance between the eyes over
    `FULL_INTER_OCULAR` and of the sharpness over `FULL_BLUR`, each at most 1; a face with a flaw
    (`mfr.faces.quality.flaws`) keeps `POOR` of it, so that it counts where there is no better one.
    """
    size = min(1.0, quality.inter_ocular / FULL_INTER_OCULAR)
    sharpness = min(1.0, quality.blur / FULL_BLUR)
    product = max(1e-6, quality.probability * size * sharpness)
    return product * (POOR if flaws(quality) else 1.0)


class FusedEmbedding:
    """The weighted mean of embeddings: its direction, and its length, by which scores are less.

    Scores are those of the mean itself (`mfr.fusion`): scaled to unit length, it would score higher
    with strangers too.
    """

    def __init__(self) -> None:
        self._sum: np.ndarray | None = None
        self._weight = 0.0

    def add(self, embedding: np.ndarray, share: float) -> None:
        """Count in ``embedding`` (D,) with the weight ``share``."""
        more = share * embedding.astype(np.float64)
        self._sum = more if self._sum is None else self._sum + more
        self._weight += share

    @property
    def length(self) -> float:
        """The length of the mean, 0 to 1: 1 if all embeddings are the same."""
        return 0.0 if self._sum is None else float(np.linalg.norm(self._sum)) / self._weight

    @property
    def value(self) -> np.ndarray:
        """(D,) float32, unit length.

        Raises:
            ValueError: nothing was added, or what was cancels out.
        """
        length = 0.0 if self._sum is None else float(np.linalg.norm(self._sum))
        if self._sum is None or length == 0:
            raise ValueError("there is no mean of these embeddings")
        return (self._sum / length).astype(np.float32)
