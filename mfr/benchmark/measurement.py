"""From comparisons to the metrics of a report, each with its interval, and the curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import bootstrap
from mfr.benchmark.bootstrap import Resamples
from mfr.benchmark.comparisons import Compared, resampled
from mfr.benchmark.metrics import Scores, auc, eer, operating_points, resolves
from mfr.benchmark.report import Histogram, Metric, RocCurve

FMRS = (0.01, 0.001, 0.0001)
"""The false match rates of the MFR paper's tables (Guo et al., CVPR 2020)."""
CMC_RANKS = 50
"""How far a cumulative match characteristic is followed."""
_CURVE_POINTS = 200
_BINS = 100
_OVER_PEOPLE = "95 % percentile interval of a bootstrap over people."


@dataclass(frozen=True)
class Measurement:
    """Metrics, ROC and histogram of the comparisons of a protocol.

    ``drawn`` are the resamples behind the intervals: those of two models on the same people by the
    same seed belong together. Their first false match rates are `FMRS`. ``found`` are the shares of
    searches that found their person first, None without searches.
    """

    metrics: list[Metric]
    roc: RocCurve
    histogram: Histogram
    drawn: Resamples
    found: NDArray[np.float64] | None
    cmc: list[float]


def measure(
    compared: Compared, persons: NDArray[np.int32], *, seed: int, resamples: int
) -> Measurement:
    """Point estimates from the exact scores, intervals from resamples of people.

    Args:
        compared: the comparisons, at least one of each kind.
        persons: (rows,) the person of each image, numbered from 0.
        seed: the seed of the resamples.
        resamples: how many to draw; 0 for no intervals.

    Raises:
        DataError: no comparison of one kind.
    """
    mated, nonmated = compared.mated, compared.nonmated
    scores = Scores.of(mated.scores, nonmated.scores)
    curve = np.geomspace(1 / len(nonmated.scores), 1, _CURVE_POINTS)
    fmrs = np.array([*FMRS, *curve])
    points = operating_points(scores, fmrs)
    multiplicities = bootstrap.draw_multiplicities(
        int(persons.max()) + 1, resamples=resamples, seed=seed
    )
    drawn = resampled(compared, persons, multiplicities, fmrs)
    shown = IntervalRule(persons[mated.first], resamples)
    metrics = []
    for position, fmr in enumerate(FMRS):
        resolved = resolves(scores, fmr)
        metrics.append(
            _metric(
                f"tar@fmr={fmr:g}",
                f"TAR at FMR {100 * fmr:g}%",
                "Share of mated comparisons at or above the lowest observed score whose share of "
                "non-mated comparisons at or above it is at most the FMR.",
                float(points.tar[position]) if resolved else None,
                drawn.tar[:, position],
                shown,
                threshold=float(points.thresholds[position]) if resolved else None,
                reason=None
                if resolved
                else (
                    f"{len(nonmated.scores)} non-mated comparisons cannot tell an FMR below "
                    f"{100 / len(nonmated.scores):.2g}%."
                ),
                errors=int(scores.nonmated_at(points.thresholds[position])) if resolved else None,
            )
        )
    metrics += [
        _metric(
            "auc",
            "AUC",
            "Area under the ROC; ties count half. A failed mated comparison wins against none.",
            auc(scores),
            drawn.auc,
            shown,
            unit="area",
        ),
        _metric(
            "eer",
            "EER",
            "FMR where FMR = 1 - TAR, linear between points of the ROC, which goes on horizontally "
            "where failed comparisons end it.",
            eer(scores),
            drawn.eer,
            shown,
        ),
    ]
    shares = None
    if len(compared.probes):
        shares = bootstrap.resample_shares(
            compared.rank_one, persons[compared.probes], multiplicities
        )
        metrics.append(
            _metric(
                "rank1",
                "Rank-1 identification",
                "Share of probes whose most similar gallery image shows their person; a tie with "
                "another person is a miss.",
                float(compared.rank_one.mean()),
                shares,
                IntervalRule(persons[compared.probes], resamples),
                method="95 % percentile interval of a bootstrap over the people of the probes, "
                "the gallery kept whole.",
            )
        )
    return Measurement(
        metrics,
        roc_curve(scores, curve, drawn.tar[:, len(FMRS) :] if shown.enough else None),
        score_histogram(scores),
        drawn,
        shares,
        _cmc(compared),
    )


class IntervalRule:
    """Whether intervals can be given: the people behind mated comparisons or searches, (m,).

    People with one image take part in non-mated comparisons only, and say nothing about how much
    a person's own comparisons vary.

    Attributes:
        enough: whether there are enough people.
        reason: why there are no intervals, where resamples were asked for; None where there are.
    """

    def __init__(self, persons: NDArray[np.int32], resamples: int) -> None:
        count = len(np.unique(persons))
        self.enough = count >= bootstrap.FEWEST_PEOPLE
        self.reason = (
            None
            if self.enough or not resamples
            else f"An interval needs at least {bootstrap.FEWEST_PEOPLE} people with mated "
            f"comparisons, and here are {count}."
        )


def _metric(
    key: str,
    name: str,
    rule: str,
    value: float | None,
    drawn: NDArray[np.float64],
    shown: IntervalRule,
    *,
    unit: Literal["share", "area"] = "share",
    threshold: float | None = None,
    reason: str | None = None,
    method: str = _OVER_PEOPLE,
    errors: int | None = None,
) -> Metric:
    known = value is not None
    interval = bootstrap.percentile_interval(drawn) if known and shown.enough else None
    return Metric(
        key=key,
        name=name,
        rule=rule,
        unit=unit,
        value=value,
        reason=reason,
        interval=interval,
        interval_method=method if interval else None,
        interval_reason=shown.reason if known else None,
        threshold=threshold,
        errors=errors,
    )


def failure_to_acquire(
    acquired: NDArray[np.bool_], persons: NDArray[np.int32], *, seed: int, resamples: int
) -> Metric:
    """The share of images from which no embedding could be made, with its interval over people.

    Args:
        acquired: (rows,) which images have a crop.
        persons: (rows,) the person of each image, numbered from 0.
        seed: of the resamples.
        resamples: how many to draw; 0 for no interval.
    """
    drawn = bootstrap.draw_multiplicities(int(persons.max()) + 1, resamples=resamples, seed=seed)
    return error_rate(
        "fta",
        "Failure to acquire",
        "Share of images without a crop, because no face was found or the photo cannot be read "
        "(ISO/IEC 19795-1).",
        ~acquired,
        bootstrap.resample_shares(~acquired, persons, drawn),
        people=len(np.unique(persons)),
    )


def error_rate(
    key: str,
    name: str,
    rule: str,
    errors: NDArray[np.bool_],
    drawn: NDArray[np.float64],
    *,
    people: int,
) -> Metric:
    """The share of errors, with the interval over resamples of ``people`` or why it has none.

    A bootstrap of no errors draws none, so there the interval says nothing; the rule of three
    (ISO/IEC 19795-1) bounds the rate for comparisons that are independent.

    Args:
        errors: (n,) which of the events are errors, n >= 1.
        drawn: (r,) the share in each resample.
    """
    count, total = int(errors.sum()), len(errors)
    interval, reason = None, None
    if len(drawn) and people < bootstrap.FEWEST_PEOPLE:
        reason = (
            f"An interval needs at least {bootstrap.FEWEST_PEOPLE} people, and here are {people}."
        )
    elif len(drawn) and not count:
        reason = (
            f"None of {total} is an error, which no bootstrap varies: if they were independent, "
            f"the rate would be below {min(3 / total, 1):.2g} (rule of three, ISO/IEC 19795-1)."
        )
    elif len(drawn):
        interval = bootstrap.percentile_interval(drawn)
    return Metric(
        key=key,
        name=name,
        rule=rule,
        value=count / total,
        interval=interval,
        interval_method=_OVER_PEOPLE if interval else None,
        interval_reason=reason,
        errors=count,
    )


def roc_curve(
    scores: Scores, wanted: NDArray[np.float64], drawn: NDArray[np.float64] | None
) -> RocCurve:
    """The ROC at FMRs spaced evenly on a log axis from 1 / n to 1: every point is exact."""
    points = operating_points(scores, wanted)
    columns = np.empty((0, 0)) if drawn is None else drawn.T
    bands = [bootstrap.percentile_interval(column) for column in columns]
    known = [band for band in bands if band is not None]
    whole = len(known) == len(wanted)
    return RocCurve(
        fmr=points.fmr.tolist(),
        tar=points.tar.tolist(),
        threshold=points.thresholds.tolist(),
        wanted_fmr=wanted.tolist(),
        low=[low for low, _ in known] if whole else None,
        high=[high for _, high in known] if whole else None,
    )


def _cmc(compared: Compared) -> list[float]:
    """The share of searches whose person is found by each rank, as far as anything changes."""
    if not len(compared.probes):
        return []
    last = min(CMC_RANKS, int(compared.ranks.max()))
    counts = np.bincount(compared.ranks, minlength=last + 1)[1 : last + 1]
    return [float(share) for share in counts.cumsum() / len(compared.ranks)]


def score_histogram(scores: Scores, edges: NDArray[np.float64] | None = None) -> Histogram:
    """The scores of the comparisons that did not fail, in bins of their range or of ``edges``."""
    if edges is not None:
        return _binned(scores, edges)
    distinct = scores.distinct()
    low, high = (distinct[0], distinct[-1]) if len(distinct) else (0.0, 0.0)
    edges = np.linspace(low, high, _BINS + 1) if high > low else np.linspace(low - 1, high + 1, 3)
    return _binned(scores, edges)


def _binned(scores: Scores, edges: NDArray[np.float64]) -> Histogram:
    return Histogram(
        edges=edges.tolist(),
        mated=np.histogram(scores.measured_mated, edges)[0].tolist(),
        nonmated=np.histogram(scores.measured_nonmated, edges)[0].tolist(),
    )
