"""Exact metrics from comparison scores: ROC, TAR at an FMR, AUC, EER, rank-1, accuracy over folds.

Scores are cosines (any finite number works); higher is more similar. A *mated* comparison shows
one person twice, a *non-mated* one two people. A comparison is accepted when score >= threshold,
so FMR(t) and TAR(t) are the shares of non-mated and mated comparisons that score at least t.

A comparison that *failed*, because one of its images has no crop, has the score minus infinity. It
counts as a non-match at every threshold (failure to acquire, ISO/IEC 19795-1): a failed mated
comparison is a false non-match, a failed non-mated one is never a false match, and both stay in the
denominators. So the TAR never exceeds the share of mated comparisons that did not fail; the ROC
ends there and goes on horizontally to FMR 1, in AUC and EER too.

Everything is computed from two sorted arrays by counting, in integers, without building the ROC:
10^7 scores need a few hundred megabytes and seconds.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfr.errors import DataError


@dataclass(frozen=True)
class Scores:
    """The scores of mated and non-mated comparisons, each sorted rising; failed ones come first.

    Attributes:
        mated: (m,) scores of one person compared with themselves, m >= 1.
        nonmated: (n,) scores of two people, n >= 1.
    """

    mated: NDArray[np.float64]
    nonmated: NDArray[np.float64]

    @classmethod
    def of(cls, mated: ArrayLike, nonmated: ArrayLike) -> Scores:
        """Sort and check scores in any order; the arguments are not changed.

        Raises:
            DataError: a kind without comparisons, or a score that is NaN or plus infinity.
        """
        return cls(_sorted(mated, "mated"), _sorted(nonmated, "non-mated"))

    @property
    def measured_mated(self) -> NDArray[np.float64]:
        """The scores of the mated comparisons that did not fail, rising; there may be none."""
        return self.mated[np.searchsorted(self.mated, -np.inf, side="right") :]

    @property
    def measured_nonmated(self) -> NDArray[np.float64]:
        """The scores of the non-mated comparisons that did not fail, rising; there may be none."""
        return self.nonmated[np.searchsorted(self.nonmated, -np.inf, side="right") :]

    def distinct(self) -> NDArray[np.float64]:
        """All different scores of comparisons that did not fail, rising."""
        return np.unique(np.concatenate([self.measured_mated, self.measured_nonmated]))

    def mated_at(self, thresholds: ArrayLike) -> NDArray[np.int64]:
        """How many mated comparisons score at least each threshold, which is finite or infinity."""
        return len(self.mated) - np.searchsorted(self.mated, thresholds, side="left")

    def nonmated_at(self, thresholds: ArrayLike) -> NDArray[np.int64]:
        """How many non-mated comparisons score at least each threshold, as in `mated_at`."""
        return len(self.nonmated) - np.searchsorted(self.nonmated, thresholds, side="left")


@dataclass(frozen=True)
class Roc:
    """Points of a receiver operating characteristic, FMR rising.

    Attributes:
        fmr: (k,) false match rates.
        tar: (k,) true accept rates.
        thresholds: (k,) falling; accepted means score >= threshold.
    """

    fmr: NDArray[np.float64]
    tar: NDArray[np.float64]
    thresholds: NDArray[np.float64]


@dataclass(frozen=True)
class FoldAccuracy:
    """Accuracy over folds, each judged with a threshold chosen on the others.

    Attributes:
        mean: the mean of the folds' accuracies.
        standard_error: their standard deviation (ddof = 1) over the root of their number.
        accuracies: the accuracy of each fold.
        thresholds: the threshold each fold was judged with.
    """

    mean: float
    standard_error: float
    accuracies: tuple[float, ...]
    thresholds: tuple[float, ...]


def roc(scores: Scores) -> Roc:
    """The whole ROC: a point per distinct score, after (0, 0) at threshold infinity.

    Equal scores make one point, as in scikit-learn's ``roc_curve(drop_intermediate=False)``. With
    failed comparisons it ends before (1, 1).
    """
    thresholds = np.concatenate([[np.inf], scores.distinct()[::-1]])
    return Roc(
        fmr=scores.nonmated_at(thresholds) / len(scores.nonmated),
        tar=scores.mated_at(thresholds) / len(scores.mated),
        thresholds=thresholds,
    )


def operating_points(scores: Scores, fmrs: ArrayLike) -> Roc:
    """The operating point of each wanted FMR in [0, 1], all exact points of the ROC.

    The rule: the lowest threshold among the observed scores whose FMR is at most the wanted one.
    With k the largest count for which k / n <= wanted FMR, that is the lowest score above the
    (k + 1)-th highest non-mated score; where no score lies above it, the next float32.
    Where that score failed, and at k = n, it is the lowest score of all that did not fail.
    The FMRs returned are those reached, at most the wanted ones.
    """
    wanted = np.asarray(fmrs, np.float64)
    count = len(scores.nonmated)
    allowed = np.floor(wanted * count)
    # The product may round to the wrong side of an integer; the rule is on k / n.
    allowed = np.where((allowed + 1) / count <= wanted, allowed + 1, allowed)
    allowed = np.where(allowed / count > wanted, allowed - 1, allowed).astype(np.int64)
    refused = scores.nonmated[np.maximum(count - 1 - allowed, 0)]
    thresholds = np.minimum(
        _next_above(scores.mated, refused), _next_above(scores.nonmated, refused)
    )
    nothing_above = np.isinf(thresholds)
    thresholds[nothing_above] = np.nextafter(
        refused[nothing_above].astype(np.float32), np.float32(np.inf)
    )
    if len(distinct := scores.distinct()):
        thresholds[allowed == count] = distinct[0]
    return Roc(
        fmr=scores.nonmated_at(thresholds) / count,
        tar=scores.mated_at(thresholds) / len(scores.mated),
        thresholds=thresholds,
    )


def resolves(scores: Scores, fmr: float) -> bool:
    """Whether there are enough non-mated comparisons to measure this FMR: n * FMR >= 1."""
    return 1 / len(scores.nonmated) <= fmr


def auc(scores: Scores) -> float:
    """Area under the ROC: the chance that a mated score beats a non-mated one, ties half.

    Mann and Whitney, Annals of Mathematical Statistics 18, 1947; counted in integers. A failed
    mated comparison beats none, not even a failed non-mated one, which all others beat: the largest
    AUC is the share of mated comparisons that did not fail.
    """
    mated = scores.measured_mated
    below = np.searchsorted(scores.nonmated, mated, side="left")
    not_above = np.searchsorted(scores.nonmated, mated, side="right")
    twice = int(below.sum(dtype=np.int64)) + int(not_above.sum(dtype=np.int64))
    return twice / (2 * len(scores.mated) * len(scores.nonmated))


def eer(scores: Scores) -> float:
    """Equal error rate: FMR where the ROC, joined by straight lines, meets FMR = 1 - TAR.

    Linear between neighbouring points of `roc`, not on its convex hull. Lies in [0, 1]. Where the
    ROC ends before it meets that line, because so many comparisons failed, it goes on horizontally,
    and the EER is the share of mated comparisons that failed.
    """
    m, n = len(scores.mated), len(scores.nonmated)

    def excess(threshold: float) -> int:
        """(FMR + TAR - 1) m n at the threshold: rises from -m n to m n as the threshold falls."""
        return int(scores.nonmated_at(threshold)) * m + int(scores.mated_at(threshold)) * n - m * n

    # The segment that crosses ends at the highest score whose excess is not negative. The lowest
    # score of all accepts everything that did not fail; if nothing failed, one array has such a
    # score.
    ends = []
    for values in (scores.measured_mated, scores.measured_nonmated):
        first_negative = bisect.bisect_left(values, True, key=lambda t: excess(t) < 0)
        if first_negative > 0:
            ends.append(values[first_negative - 1])
    if not ends:
        return 1 - len(scores.measured_mated) / m
    after = float(max(ends))
    before = float(
        min(_next_above(scores.mated, after).item(), _next_above(scores.nonmated, after).item())
    )
    fmr_before, fmr_after = (int(scores.nonmated_at(t)) / n for t in (before, after))
    crossing = -excess(before) / (excess(after) - excess(before))
    return fmr_before + crossing * (fmr_after - fmr_before)


def ranks_of_mates(
    scores: NDArray[np.floating], probes: NDArray[np.integer], gallery: NDArray[np.integer]
) -> NDArray[np.int32]:
    """At which rank each probe finds its person in the gallery; a tie with a stranger is a miss.

    A person's score is that of their most similar image, and the rank is one more than the number
    of other people who score at least as much. The share of probes of rank 1 is the rank-1
    identification rate, those of rank r and better are the cumulative match characteristic.

    Args:
        scores: (probes, gallery); minus infinity where a comparison failed.
        probes: (probes,) whom each probe shows, somebody in the gallery.
        gallery: (gallery,) whom each image of the gallery shows.

    Returns:
        (probes,) ranks from 1; where all comparisons with their person failed, the number of people
        in the gallery and one.
    """
    order = np.argsort(gallery, kind="stable")
    people, starts = np.unique(gallery[order], return_index=True)
    if not len(probes):
        return np.zeros(0, np.int32)
    best = np.maximum.reduceat(scores[:, order], starts, axis=1)
    own = best[np.arange(len(probes)), np.searchsorted(people, probes)]
    ranks = (best >= own[:, None]).sum(axis=1)  # their person is one of those
    return np.where(np.isneginf(own), len(people) + 1, ranks).astype(np.int32)


def fold_accuracy(scores: ArrayLike, same: ArrayLike, folds: ArrayLike) -> FoldAccuracy:
    """Accuracy as LFW View 2 reports it: each fold by the threshold best on the other folds.

    Thresholds stand midway between neighbouring distinct scores of the other folds (and beyond
    both ends), of the comparisons that did not fail; among equally good ones the middle one is
    taken. The standard error is that of Huang et al. (UMass TR 07-49, 2007, Eq. 2): standard
    deviation (ddof = 1) / sqrt(folds).

    Args:
        scores: (n,).
        same: (n,) whether the pair shows one person.
        folds: (n,) the fold of each pair, at least two different ones.
    """
    values = np.asarray(scores, np.float64)
    truth = np.asarray(same, bool)
    fold_of = np.asarray(folds)
    accuracies, thresholds = [], []
    for fold in np.unique(fold_of):
        held = fold_of == fold
        threshold = best_threshold(values[~held], truth[~held])
        thresholds.append(threshold)
        accuracies.append(float(((values[held] >= threshold) == truth[held]).mean()))
    spread = float(np.std(accuracies, ddof=1))
    return FoldAccuracy(
        mean=float(np.mean(accuracies)),
        standard_error=spread / float(np.sqrt(len(accuracies))),
        accuracies=tuple(accuracies),
        thresholds=tuple(thresholds),
    )


def best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The threshold of highest accuracy on these pairs; see `fold_accuracy` for the choice."""
    distinct = np.unique(scores[np.isfinite(scores)])
    if not len(distinct):
        return 0.0  # everything failed, and any threshold refuses it
    candidates = np.concatenate(
        [[distinct[0] - 1], (distinct[:-1] + distinct[1:]) / 2, [distinct[-1] + 1]]
    )
    mated, nonmated = np.sort(scores[same]), np.sort(scores[~same])
    right = (
        len(mated)
        - np.searchsorted(mated, candidates, side="left")
        + np.searchsorted(nonmated, candidates, side="left")
    )
    best = np.flatnonzero(right == right.max())
    return float(candidates[best[(len(best) - 1) // 2]])


def _sorted(values: ArrayLike, kind: str) -> NDArray[np.float64]:
    array = np.asarray(values)
    if array.size == 0:
        raise DataError(
            f"There are no {kind} comparisons to measure: use data with more people and images."
        )
    if np.isnan(array).any() or np.isposinf(array).any():
        raise DataError(f"A {kind} score is NaN or infinite: use a model with finite weights.")
    return np.sort(array, axis=None).astype(np.float64)


def _next_above(rising: NDArray[np.float64], values: ArrayLike) -> NDArray[np.float64]:
    """The lowest element above each value, or infinity."""
    positions = np.searchsorted(rising, values, side="right")
    found = rising[np.minimum(positions, len(rising) - 1)]
    return np.where(positions < len(rising), found, np.inf)
