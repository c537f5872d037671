"""Several probe images of one person, judged as one.

The score of several probes with a template is the mean of their scores, which is the inner product
of the template with the mean of their embeddings, not scaled to unit length. Chance resemblances
average out, so that strangers reach a threshold less often than with one probe and the person
more often (docs/results/default-recogniser.md): the false-match rate of one comparison is an upper
bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mfr.conditions import Basis

STRANGER_FMR = 0.05
"""Two probes that score below the threshold of this false-match rate are hardly of one person."""


def fused(embeddings: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """The mean of embeddings (D,), as its direction (D,) float32 of unit length and its length."""
    mean = np.mean(np.asarray(embeddings, dtype=np.float64), axis=0)
    length = float(np.linalg.norm(mean))
    if length == 0:  # opposite embeddings; no direction is theirs
        return np.asarray(embeddings[0]), 0.0
    return (mean / length).astype(np.float32), length


def strangers_among(
    embeddings: Sequence[np.ndarray], names: Sequence[str], basis: Basis | None
) -> tuple[str, ...]:
    """Sentences about probes that look like another person than the rest together."""
    if basis is None or len(embeddings) < 2:
        return ()
    threshold = basis.threshold_at(max(STRANGER_FMR, basis.lowest_fmr))
    scores = np.asarray(embeddings) @ np.asarray(embeddings).T
    np.fill_diagonal(scores, np.nan)
    unlike = np.nanmax(scores, axis=1) < threshold
    return tuple(
        f"{name} is unlike the other probes: they may not show one person."
        for name, alone in zip(names, unlike, strict=True)
        if alone
    )
