"""Where the embeddings of each condition lie, learned from those it was calibrated on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.conditions import Regions

COMPONENTS: Final = 32
"""Directions in which it is told whether a face is like anything that was measured."""

FARTHEST_SHARE: Final = 0.999
"""The share of the measured faces that are taken for like themselves."""

_DIGITS: Final = 5


def fit_regions(conditions: Sequence[NDArray[np.float32]]) -> Regions:
    """Learn to tell conditions apart by embeddings, and what is unlike them all.

    The covariance within conditions is shrunk towards a multiple of the identity as far as Ledoit
    and Wolf advise (A Well-conditioned Estimator for Large-dimensional Covariance Matrices, Journal
    of Multivariate Analysis 2004). Conditions count alike, however many faces they have.

    Args:
        conditions: (n, D) embeddings of each, the usual one first.
    """
    from sklearn.covariance import ledoit_wolf

    means = np.stack([each.mean(axis=0, dtype=np.float64) for each in conditions])
    within, weights = [], []
    for each, mean in zip(conditions, means, strict=True):
        within.append(each - mean)
        weights.append(np.full(len(each), 1 / len(each)))
    apart = np.concatenate(within)
    weight = np.concatenate(weights) / len(conditions)
    scaled = apart * np.sqrt(weight * len(apart))[:, None]
    covariance, _ = ledoit_wolf(scaled, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    whitening = vectors / np.sqrt(values)
    # Between the means lie conditions - 1 directions, seen where the covariance is the identity.
    centred = (means - means.mean(axis=0)) @ whitening
    _, _, right = np.linalg.svd(centred, full_matrices=False)
    discriminants = (whitening @ right[: len(conditions) - 1].T).T
    components = whitening[:, ::-1][:, : min(COMPONENTS, len(values))].T
    regions = Regions(
        discriminants=_rounded(discriminants),
        components=_rounded(components),
        means=_rounded(means),
        farthest=1.0,
    )
    farthest = max(
        float(np.quantile(regions.distances(each), FARTHEST_SHARE)) for each in conditions
    )
    return regions.model_copy(update={"farthest": farthest})


def _rounded(matrix: NDArray[np.float64]) -> list[list[float]]:
    return [[float(f"{value:.{_DIGITS}g}") for value in row] for row in matrix]
