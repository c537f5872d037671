"""Two encoders on the same comparisons: how much better one is, with an interval.

Their metrics rise and fall together, because a person who is hard for one is mostly hard for the
other. So the difference is taken within each resample of people, which both share, and its interval
is much narrower than the intervals of the two metrics suggest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import bootstrap
from mfr.benchmark.comparisons import Compared, choose_gallery, compare_with_gallery, resampled
from mfr.benchmark.embedding import by_path, embed_acquired, examined, numbered
from mfr.benchmark.measurement import FMRS as MEASURED_FMRS
from mfr.benchmark.measurement import Measurement
from mfr.benchmark.metrics import Scores, auc, operating_points
from mfr.benchmark.report import Metric
from mfr.benchmark.seen import refuse_seen
from mfr.data.manifest import Manifest
from mfr.errors import DataError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

FMRS: Final = (0.01, 0.001)


@dataclass(frozen=True)
class Difference:
    """A metric of the first encoder minus that of the second.

    Attributes:
        key: the key of the metric, as in a report: ``tar@fmr=0.01``, ``auc``, ``rank1``.
        value: the difference on the whole sample, -1 to 1.
        interval: the 95 % interval of the difference, by a bootstrap over people; None without
            resamples and with too few people (`mfr.benchmark.bootstrap.FEWEST_PEOPLE`).
    """

    key: str
    value: float
    interval: tuple[float, float] | None


def compare_encoders(
    first: Encoder,
    second: Encoder,
    manifest: Manifest,
    domain: str,
    *,
    split: str = "test",
    seed: int = 0,
    resamples: int = 1000,
    allow_seen: bool = False,
) -> list[Difference]:
    """The first minus the second by the gallery-probe protocol of `protocols.benchmark_domain`.

    Args:
        seed: chooses gallery images and resamples, as in the reports of the two.
        resamples: of the bootstrap; 0 for no intervals.
        allow_seen: compare them also on people whom one of them has seen.

    Raises:
        DataError: nothing to compare in that split of the domain, or one of the two was trained,
            validated or calibrated on people in it.
        ModelError: an embedding is not finite.
    """
    rows = by_path(examined(manifest.where(domains=[domain], splits=[split])))
    persons = numbered(rows.column("person"))
    compared = []
    where = f"domain {domain}, split {split}"
    for encoder in (first, second):
        refuse_seen(encoder, rows.column("person"), where, allow_seen=allow_seen)
        embeddings, acquired = embed_acquired(encoder, rows)
        gallery = choose_gallery(
            rows.column("identity"), rows.column("path"), seed=seed, acquired=acquired
        )
        compared.append(compare_with_gallery(embeddings, persons, gallery, acquired))
    if not all(len(c.mated.scores) and len(c.nonmated.scores) for c in compared):
        raise DataError(
            f"Domain {domain}, split {split}, has nothing to compare: use another split or domain."
        )
    return differences(compared[0], compared[1], persons, seed=seed, resamples=resamples)


def between(first: Measurement, second: Measurement) -> list[Difference]:
    """`mean_between` of one measurement each."""
    return mean_between([first], [second])


def mean_between(firsts: Sequence[Measurement], seconds: Sequence[Measurement]) -> list[Difference]:
    """The mean of firsts minus that of seconds for every metric they all have.

    Within each resample of people the means are taken over the measurements, such as those of
    several seeds of training, so that the interval is over people for these very runs.

    After them stands the relative difference of the FNMR at each FMR, ``fnmr@fmr=0.001:relative``:
    -0.15 where the first refuses 15 % fewer rightful people than the second. It is left out where
    the second refuses nobody.

    Args:
        firsts: all measured on the same rows with the same seed and number of resamples.
        seconds: what they are compared with, measured in the same way.
    """
    found, relative = [], []
    for metric in firsts[0].metrics:
        both = [[_with_key(one, metric.key) for one in measured] for measured in (firsts, seconds)]
        values = [[one.value for one in known if one and one.value is not None] for known in both]
        if [len(one) for one in values] != [len(firsts), len(seconds)]:
            continue
        value, other = (float(np.mean(one)) for one in values)
        drawn, others = (
            np.mean([_resampled(one, metric.key) for one in measured], axis=0)
            for measured in (firsts, seconds)
        )
        enough = all(one and one.interval is not None for known in both for one in known)
        interval = bootstrap.percentile_interval(drawn - others) if enough else None
        found.append(Difference(metric.key, value - other, interval))
        if metric.key.startswith("tar@") and other < 1:
            key = f"fnmr{metric.key.removeprefix('tar')}:relative"
            ends = bootstrap.ratio_interval(1 - drawn, 1 - others) if enough else None
            interval = None if ends is None else (ends[0] - 1, ends[1] - 1)
            relative.append(Difference(key, (1 - value) / (1 - other) - 1, interval))
    return [*found, *relative]


def _with_key(measured: Measurement, key: str) -> Metric | None:
    return next((metric for metric in measured.metrics if metric.key == key), None)


def _resampled(measured: Measurement, key: str) -> NDArray[np.float64]:
    if key.startswith("tar@fmr="):
        position = MEASURED_FMRS.index(float(key.removeprefix("tar@fmr=")))
        return measured.drawn.tar[:, position]
    if key == "rank1" and measured.found is not None:
        return measured.found
    return measured.drawn.auc if key == "auc" else measured.drawn.eer


def differences(
    first: Compared,
    second: Compared,
    persons: NDArray[np.int32],
    *,
    seed: int,
    resamples: int,
) -> list[Difference]:
    """The first minus the second, of the same rows: TAR at `FMRS`, AUC and, with searches, rank-1.

    Args:
        persons: (rows,) the person of each image, numbered from 0.
        seed: the seed of the resamples.
        resamples: how many to draw; 0 for no intervals.
    """
    multiplicities = bootstrap.draw_multiplicities(
        int(persons.max()) + 1, resamples=resamples, seed=seed
    )
    (tar, area, rank), (other_tar, other_area, other_rank) = (
        _whole(compared) for compared in (first, second)
    )
    enough = len(np.unique(persons[first.mated.first])) >= bootstrap.FEWEST_PEOPLE
    drawn, other = (
        resampled(compared, persons, multiplicities, FMRS) for compared in (first, second)
    )
    metrics = [
        (f"tar@fmr={fmr:g}", tar[i] - other_tar[i], drawn.tar[:, i] - other.tar[:, i])
        for i, fmr in enumerate(FMRS)
    ]
    metrics.append(("auc", area - other_area, drawn.auc - other.auc))
    if rank is not None and other_rank is not None:
        shares, other_shares = (
            bootstrap.resample_shares(one.rank_one, persons[one.probes], multiplicities)
            for one in (first, second)
        )
        metrics.append(("rank1", rank - other_rank, shares - other_shares))
    return [
        Difference(key, value, bootstrap.percentile_interval(between) if enough else None)
        for key, value, between in metrics
    ]


def _whole(compared: Compared) -> tuple[list[float], float, float | None]:
    scores = Scores.of(compared.mated.scores, compared.nonmated.scores)
    tar = operating_points(scores, FMRS).tar
    rank = float(compared.rank_one.mean()) if len(compared.probes) else None
    return [float(one) for one in tar], auc(scores), rank
