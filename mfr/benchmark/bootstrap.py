"""Confidence intervals by a bootstrap over people, because comparisons are not independent.

One hard person spoils hundreds of comparisons at once; resampling pairs would take those for
hundreds of independent mistakes and give intervals that are far too narrow. So people are drawn
with replacement, as many as there are, each with all their comparisons (the subsets bootstrap:
Bolle, Ratha and Pankanti, Computer Vision and Image Understanding 93, 2004).

A resample gives person p the multiplicity w_p. A mated comparison of p counts w_p times, a
non-mated one of p and q counts w_p w_q times. Copies of one person meeting each other would be
neither mated nor non-mated (a person against a duplicate of themselves); those are left out.

Speed: scores are counted once on a grid of at most `GRID` thresholds taken from the scores
themselves, and a resample is a weighted sum of counts. With `GRID` or fewer distinct scores the
grid is exact. Otherwise its thresholds are the highest 1024 non-mated scores, non-mated scores of
geometrically spaced rank (relative step of rank below 2 % for 10^7 scores) and 1/1280 quantiles of
the mated ones, so a resample's TAR at an FMR is too low by at most the mated weight between two
neighbouring thresholds, 1/1280 = 0.08 % of the unweighted comparisons, and its AUC errs by at most
half of that. Point estimates never use the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from mfr.benchmark.metrics import Scores

FEWEST_PEOPLE: Final = 10
"""The fewest people who make an interval. A percentile interval of a mean over n people is narrower
than Student's by sqrt((n - 1) / n) and by the normal quantile in place of t's (Hesterberg, What
Teachers Should Know About the Bootstrap, The American Statistician 69, 2015). Where it says 95 %,
it covers the truth about 90 times in 100 with 10 people, and 85 times with 5. With two people, half
of the resamples hold one person and no non-mated comparison, and the others are all the same: the
interval is the value itself."""
GRID = 4096
"""Most thresholds of the grid that resamples are measured on."""
_TOP, _RANKS, _QUANTILES = 1024, 1024, 1280
_BATCH = 128  # resamples at a time: bounds memory at a few arrays of _BATCH x GRID float64


@dataclass(frozen=True)
class Resamples:
    """Metrics of every resample; NaN where a resample drew no mated or no non-mated comparison.

    Attributes:
        auc: (r,) areas under the ROC.
        eer: (r,) equal error rates.
        tar: (r, f) true accept rates at the f wanted false match rates.
    """

    auc: NDArray[np.float64]
    eer: NDArray[np.float64]
    tar: NDArray[np.float64]

    @classmethod
    def unknown(cls, resamples: int, fmrs: int) -> Resamples:
        """``resamples`` resamples at ``fmrs`` rates, none measured yet."""
        shapes = (resamples, resamples, (resamples, fmrs))
        return cls(*(np.full(shape, np.nan) for shape in shapes))

    def measure(
        self,
        index: int,
        mated: NDArray[np.float64],
        nonmated: NDArray[np.float64],
        fmrs: NDArray[np.float64],
    ) -> None:
        """Fill in one resample from weighted counts (bins), bins of rising score.

        The first bin is that of the failed comparisons. The rules are those of
        `mfr.benchmark.metrics`.
        """
        if not (mated.any() and nonmated.any()):
            return
        accepted, false = _counts_from_above(mated[1:]), _counts_from_above(nonmated[1:])
        all_mated, all_nonmated = accepted[-1] + mated[0], false[-1] + nonmated[0]
        # In whole numbers, divided once, so that a perfect resample has an AUC of exactly 1.
        twice = ((false[1:] - false[:-1]) * (accepted[1:] + accepted[:-1])).sum()
        twice += 2 * nonmated[0] * accepted[-1]  # the ROC goes on horizontally where it ends
        self.auc[index] = twice / (2 * all_mated * all_nonmated)
        tar, fmr = accepted / all_mated, false / all_nonmated
        self.eer[index] = _crossing(fmr, tar)
        self.tar[index] = tar[np.searchsorted(fmr, fmrs, side="right") - 1]


def draw_multiplicities(people: int, *, resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each person is drawn: (resamples, people), rows summing to ``people``."""
    draws = np.random.default_rng(seed).integers(people, size=(resamples, people))
    counts = np.zeros((resamples, people), np.int64)
    np.add.at(counts, (np.arange(resamples)[:, None], draws), 1)
    return counts


def resample(
    mated: NDArray[np.floating],
    mated_people: NDArray[np.integer],
    nonmated: NDArray[np.floating],
    nonmated_people: tuple[NDArray[np.integer], NDArray[np.integer]],
    multiplicities: NDArray[np.int64],
    fmrs: Sequence[float] | NDArray[np.float64],
) -> Resamples:
    """Measure every resample.

    Args:
        mated: (m,) scores, minus infinity where the comparison failed.
        mated_people: (m,) the person of each, numbered from 0.
        nonmated: (n,) scores.
        nonmated_people: two (n,) arrays, the people of each; never the same person twice.
        multiplicities: (r, people) from `draw_multiplicities`.
        fmrs: (f,) wanted false match rates.
    """
    people = multiplicities.shape[1]
    # Failed comparisons have a bin of their own, the first.
    edges = np.concatenate([[-np.inf], score_grid(Scores.of(mated, nonmated))])
    size = len(edges)
    mated_counts = _counts(_bins(edges, mated), mated_people, (size, people))
    # One row per (first person, bin), one column per second person.
    rows = nonmated_people[0].astype(np.int64) * size + _bins(edges, nonmated)
    nonmated_counts = _counts(rows, nonmated_people[1], (people * size, people))
    blocks = []
    for person in np.unique(nonmated_people[0]).tolist():
        block = nonmated_counts[person * size : (person + 1) * size]
        filled = np.flatnonzero(np.diff(block.indptr))
        blocks.append((person, filled, block[filled]))
    resamples = Resamples.unknown(len(multiplicities), len(fmrs))
    for start in range(0, len(multiplicities), _BATCH):
        # Row-major, because scipy would copy anything else at every product below.
        weights = multiplicities[start : start + _BATCH].T.astype(np.float64, order="C")
        mated_weight = mated_counts @ weights
        nonmated_weight = np.zeros_like(mated_weight)
        for person, filled, block in blocks:
            nonmated_weight[filled] += (block @ weights) * weights[person]
        for offset in range(weights.shape[1]):
            resamples.measure(
                start + offset,
                mated_weight[:, offset],
                nonmated_weight[:, offset],
                np.asarray(fmrs, np.float64),
            )
    return resamples


def resample_searches(
    mated: NDArray[np.floating],
    mated_people: NDArray[np.integer],
    strange: NDArray[np.floating],
    strange_people: NDArray[np.integer],
    multiplicities: NDArray[np.int64],
    fpirs: Sequence[float],
) -> Resamples:
    """Measure every resample of searches in one gallery, a search of person p counting w_p times.

    The gallery is left whole, as in `resample_shares`. In what is returned FPIR stands for FMR and
    the share of people who are found for TAR.

    Args:
        mated: (m,) the score of a search that finds its person first, minus infinity if not.
        mated_people: (m,) whom each searches for.
        strange: (n,) the highest score of a search for somebody who is not in the gallery.
        strange_people: (n,) whom each searches for.
        multiplicities: (r, people) from `draw_multiplicities`.
        fpirs: (f,) wanted false positive identification rates.
    """
    people = multiplicities.shape[1]
    edges = np.concatenate([[-np.inf], score_grid(Scores.of(mated, strange))])
    weights = multiplicities.T.astype(np.float64, order="C")
    shape = (len(edges), people)
    mated_weight = _counts(_bins(edges, mated), mated_people, shape) @ weights
    strange_weight = _counts(_bins(edges, strange), strange_people, shape) @ weights
    resamples = Resamples.unknown(len(multiplicities), len(fpirs))
    for index in range(len(multiplicities)):
        resamples.measure(
            index, mated_weight[:, index], strange_weight[:, index], np.asarray(fpirs, np.float64)
        )
    return resamples


def resample_shares(
    hits: NDArray[np.bool_] | NDArray[np.float64],
    people: NDArray[np.integer],
    multiplicities: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The share of hits in every resample, an event of person p counting w_p times.

    A hit may be one in part, between 0 and 1.

    Used for rank-1 with the gallery left whole: a resampled gallery would lack a third of its
    people, and a search in it would be easier than the one that was measured.
    """
    size = multiplicities.shape[1]
    events = np.bincount(people, minlength=size)
    hit = np.bincount(people, weights=hits, minlength=size)
    with np.errstate(invalid="ignore"):
        shares: NDArray[np.float64] = (multiplicities @ hit) / (multiplicities @ events)
    return shares


def resample_pair_shares(
    hits: NDArray[np.bool_],
    people: tuple[NDArray[np.integer], NDArray[np.integer]],
    multiplicities: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The share of hits among comparisons of two people, one of p and q counting w_p w_q times.

    Args:
        hits: (k, n) several kinds of events of the same n comparisons.
        people: two (n,) arrays, the people of each; never the same person twice.
        multiplicities: (r, people) from `draw_multiplicities`.

    Returns:
        (k, r) shares; NaN where a resample drew no comparison.
    """
    size = multiplicities.shape[1]
    weights = multiplicities.T.astype(np.float64, order="C")

    def weighed(chosen: NDArray[np.bool_] | slice) -> NDArray[np.float64]:
        counts = _counts(people[0][chosen], people[1][chosen], (size, size))
        total: NDArray[np.float64] = np.einsum("pr,pr->r", counts @ weights, weights)
        return total

    every = weighed(slice(None))
    with np.errstate(invalid="ignore"):
        return np.stack([weighed(chosen) / every for chosen in hits])


def percentile_interval(
    values: NDArray[np.float64], *, level: float = 0.95
) -> tuple[float, float] | None:
    """The percentile interval over resamples; None where no resample could be measured."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def ratio_interval(
    rates: NDArray[np.float64], to: NDArray[np.float64]
) -> tuple[float, float] | None:
    """The 95 % percentile interval of a ratio of two rates, from resamples that they share.

    None where no resample could be measured, and where the rate below is 0 so often that the ratio
    has no upper end.
    """
    known = np.isfinite(rates) & np.isfinite(to) & ((rates > 0) | (to > 0))
    if not known.any():
        return None
    with np.errstate(divide="ignore"):
        ratios = rates[known] / to[known]
    low, high = np.quantile(ratios, [0.025, 0.975], method="closest_observation")
    return (float(low), float(high)) if np.isfinite(high) else None


def score_grid(scores: Scores) -> NDArray[np.floating]:
    """At most `GRID` observed scores, rising and starting at the lowest: the thresholds used.

    Failed comparisons have no score and are left out.
    """
    distinct = scores.distinct()
    if len(distinct) <= GRID:
        return distinct
    mated, nonmated = scores.measured_mated, scores.measured_nonmated
    n, m = len(nonmated), len(mated)
    if not (n and m):  # one kind alone has scores
        return distinct[np.linspace(0, len(distinct) - 1, GRID).astype(np.int64)]
    ranks = np.concatenate([np.arange(min(_TOP, n)), np.geomspace(1, n, _RANKS) - 1])
    quantiles = np.linspace(0, m - 1, min(m, _QUANTILES))
    chosen = [
        distinct[:1],
        nonmated[n - 1 - ranks.astype(np.int64)],
        mated[quantiles.astype(np.int64)],
    ]
    return np.unique(np.concatenate(chosen))


def _bins(edges: NDArray[np.floating], scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Bin b holds edges[b] <= score < edges[b + 1]: score >= edges[b] is exactly bin >= b."""
    return np.searchsorted(edges, scores, side="right") - 1


def _counts(
    rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]
) -> csr_matrix:
    # Building a CSR matrix from coordinates adds up the entries that coincide.
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


def _counts_from_above(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts at or above each threshold, from beyond the highest (0) down to the lowest (all)."""
    return np.concatenate([[0.0], np.cumsum(counts[::-1])])


def _crossing(fmr: NDArray[np.float64], tar: NDArray[np.float64]) -> float:
    excess = fmr + tar - 1
    if not (excess >= 0).any():
        return float(1 - tar[-1])
    after = int(np.argmax(excess >= 0))
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(fmr[after - 1] + share * (fmr[after] - fmr[after - 1]))
