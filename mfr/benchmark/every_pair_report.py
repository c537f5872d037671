"""The report of every pair of a domain, however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import bootstrap
from mfr.benchmark.domain_people import embed_people
from mfr.benchmark.embedding import numbered
from mfr.benchmark.every_pair import EDGES, EveryPair, compare_every_pair
from mfr.benchmark.measurement import IntervalRule, failure_to_acquire
from mfr.benchmark.origin import title_of
from mfr.benchmark.report import Counts, Histogram, Metric, Report, RocCurve
from mfr.benchmark.reporting import failed_warning, provenance, resized_warning
from mfr.benchmark.seen import not_known, seen_domains
from mfr.data.manifest import Manifest

if TYPE_CHECKING:
    from mfr.encoder import Encoder

FMRS: Final = (0.01, 1e-3, 1e-4, 1e-5, 1e-6)
_CURVE_POINTS: Final = 200
_OVER_MATED: Final = (
    "95 % percentile interval of a bootstrap over the people of mated pairs; the threshold, which "
    "all the non-mated pairs set, is held fixed."
)


def benchmark_every_pair(
    encoder: Encoder,
    manifest: Manifest,
    domain: str,
    *,
    split: str = "test",
    seed: int = 0,
    resamples: int = 1000,
    command: str = "",
    allow_seen: bool = False,
    name: str = "",
) -> Report:
    """Judge an encoder on every pair of images of one split of one domain, in bounded memory.

    Arguments and errors are those of `mfr.benchmark.protocols.benchmark_domain`. Scores are not
    kept, so the report shows no mistakes and no rates at other thresholds.
    """
    people = embed_people(
        encoder, manifest, domain, split, resamples=resamples, allow_seen=allow_seen
    )
    rows, acquired = people.rows, people.acquired
    persons = numbered(rows.column("person"))
    found = compare_every_pair(people.embeddings, persons, acquired)
    counts = Counts(
        people=len(np.unique(persons)),
        images=len(rows),
        mated=len(found.mated) + found.failed_mated,
        nonmated=found.nonmated,
        left_out=people.left_out,
        failed=int((~acquired).sum()),
        failed_mated=found.failed_mated,
        failed_nonmated=found.failed_nonmated,
    )
    return Report(
        seen=people.seen,
        title=f"{title_of(encoder.record, name)} on {domain}, every pair",
        protocol="every-pair",
        description=[
            f"The people of split {split} of domain {domain}, told apart by the manifest's "
            "'person'.",
            "Every image is compared with every other one, each pair once, and counted exactly.",
        ],
        metrics=[
            *_metrics(found, persons, seed, resamples),
            failure_to_acquire(acquired, persons, seed=seed, resamples=resamples),
        ],
        roc=_curve(found),
        histogram=_histogram(found),
        counts=counts,
        mistakes=[],
        warnings=[
            *seen_domains(encoder, [domain], split=split, told=people.seen is not None),
            *not_known(encoder),
            *failed_warning(counts),
            *resized_warning(rows),
        ],
        split=split,
        **provenance(encoder, rows, domain=domain, seed=seed, resamples=resamples, command=command),
    )


def _metrics(
    found: EveryPair, persons: NDArray[np.int32], seed: int, resamples: int
) -> list[Metric]:
    drawn = bootstrap.draw_multiplicities(int(persons.max()) + 1, resamples=resamples, seed=seed)
    whose = persons[found.rows]
    failed = found.failed_mated / (len(found.mated) + found.failed_mated)
    shown = IntervalRule(whose, resamples)

    def interval(wins: NDArray[np.float64]) -> tuple[float, float] | None:
        # What failed is a constant share that no threshold accepts.
        shares = bootstrap.resample_shares(wins, whose, drawn) * (1 - failed)
        return bootstrap.percentile_interval(shares) if shown.enough else None

    metrics = []
    for fmr in FMRS:
        resolved = fmr * found.nonmated >= 1
        accepted = found.accepted_at(fmr)
        position = int(np.argmax(accepted)) if accepted.any() else None
        ends = interval(accepted.astype(np.float64)) if resolved else None
        metrics.append(
            Metric(
                key=f"tar@fmr={fmr:g}",
                name=f"TAR at FMR {100 * fmr:g}%",
                rule="Share of mated pairs whose score at most this share of the non-mated pairs "
                "reaches; the threshold is the lowest such score.",
                value=found.tar_at(fmr) if resolved else None,
                reason=None
                if resolved
                else f"{found.nonmated} non-mated comparisons cannot tell an FMR below "
                f"{100 / found.nonmated:.2g}%.",
                interval=ends,
                interval_method=_OVER_MATED if ends else None,
                interval_reason=shown.reason if resolved else None,
                threshold=float(found.mated[position])
                if resolved and position is not None
                else None,
                errors=int(fmr * found.nonmated) if resolved else None,
            )
        )
    ends = interval(found.wins())
    return [
        *metrics,
        Metric(
            key="auc",
            name="AUC",
            rule="Area under the ROC; ties count half. A failed mated pair wins against none.",
            unit="area",
            value=found.auc,
            interval=ends,
            interval_method=_OVER_MATED if ends else None,
            interval_reason=shown.reason,
        ),
    ]


def _curve(found: EveryPair) -> RocCurve:
    """The ROC at FMRs spaced evenly on a log axis: exact, at mated scores as thresholds."""
    wanted = np.geomspace(1 / found.nonmated, 1, _CURVE_POINTS)
    places = [int((~found.accepted_at(fmr)).sum()) for fmr in wanted]
    reached = np.append(found.reached, 0)
    # Above the highest mated score nothing is accepted; any threshold there will do.
    thresholds = np.append(found.mated, np.nextafter(found.mated[-1:], np.float32(np.inf)))
    return RocCurve(
        fmr=[float(reached[place] / found.nonmated) for place in places],
        tar=[found.tar_at(fmr) for fmr in wanted],
        threshold=[float(thresholds[place]) for place in places],
        wanted_fmr=wanted.tolist(),
        low=None,
        high=None,
    )


def _histogram(found: EveryPair) -> Histogram:
    under = np.searchsorted(found.mated, EDGES, side="left")
    # Rounding may take a cosine of equal embeddings just beyond 1, the last edge.
    beyond = len(found.mated) - under[-1]
    mated = np.diff(under)
    mated[-1] += beyond
    return Histogram(
        edges=[float(edge) for edge in EDGES],
        mated=mated.tolist(),
        nonmated=np.diff(found.below).tolist(),
    )
