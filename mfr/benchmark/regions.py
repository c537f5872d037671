"""What the faces of each condition are like, learned from those it was calibrated on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.conditions import Looks, Regions

COMPONENTS: Final = 32
"""Directions in which it is told whether a face is like anything that was measured."""

FARTHEST_SHARE: Final = 0.999
"""The share of the measured faces that are taken for like themselves."""

USUAL_SHARE: Final = 0.95
"""The share of the usual condition's faces that are taken for faces of that condition. More would
be judged as the others are, whose thresholds refuse more; with fewer, more of the others would be
judged by a threshold that is too low for them (docs/results/default-recogniser.md)."""

_DIGITS: Final = 5


def fit_regions(conditions: Sequence[Sequence[NDArray[np.float32]]]) -> Regions:
    """Learn to tell conditions apart by embeddings, and what is unlike them all.

    The covariance within conditions is shrunk towards a multiple of the identity as far as Ledoit
    and Wolf advise (A Well-conditioned Estimator for Large-dimensional Covariance Matrices, Journal
    of Multivariate Analysis 2004). Conditions count alike, however many faces they have, and so do
    the sources of a condition.

    Args:
        conditions: for each, the usual one first, the embeddings (n, D) of each of its sources.
    """
    from sklearn.covariance import ledoit_wolf

    means = np.stack(
        [
            np.mean([source.mean(axis=0, dtype=np.float64) for source in sources], axis=0)
            for sources in conditions
        ]
    )
    scaled = []
    for mean, sources in zip(means, conditions, strict=True):
        for source in sources:
            share = 1 / (len(source) * len(sources) * len(conditions))
            scaled.append((source - mean) * np.sqrt(share))
    total = sum(len(part) for part in scaled)
    covariance, _ = ledoit_wolf(np.concatenate(scaled) * np.sqrt(total), assume_centered=True)
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
    margin = _pooled_quantile([regions.doubts(source) for source in conditions[0]], USUAL_SHARE)
    regions = regions.model_copy(update={"margin": max(0.0, margin)})
    farthest = max(
        _pooled_quantile([regions.distances(source) for source in sources], FARTHEST_SHARE)
        for sources in conditions
    )
    return regions.model_copy(update={"farthest": farthest})


def fit_looks(sources: Sequence[NDArray[np.float64]]) -> Looks:
    """Learn what faces look like, from descriptions (n, r) of those of each source."""
    from sklearn.covariance import ledoit_wolf

    # What does not vary at all in a source may still vary a little.
    least = 1e-3 * np.eye(sources[0].shape[1])
    looks = Looks(
        means=_rounded(np.stack([each.mean(axis=0) for each in sources])),
        precisions=[_rounded(np.linalg.inv(ledoit_wolf(each)[0] + least)) for each in sources],
        farthest=1.0,
    )
    farthest = max(float(np.quantile(looks.distances(each), FARTHEST_SHARE)) for each in sources)
    return looks.model_copy(update={"farthest": farthest})


def _pooled_quantile(sources: Sequence[NDArray[np.float64]], share: float) -> float:
    """The quantile of numbers from several sources, each of which counts alike."""
    values = np.concatenate(sources)
    weights = np.concatenate([np.full(len(each), 1 / len(each)) for each in sources])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, share)), len(values) - 1)])


def _rounded(matrix: NDArray[np.float64]) -> list[list[float]]:
    return [[float(f"{value:.{_DIGITS}g}") for value in row] for row in matrix]
