"""A dataset's own protocol, stored beside its manifest or read from a list, measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import t as student

from mfr.benchmark.comparisons import Compared, compare_listed, compare_with_gallery
from mfr.benchmark.embedding import embed_acquired, numbered, take_rows
from mfr.benchmark.measurement import Measurement, failure_to_acquire, measure
from mfr.benchmark.metrics import fold_accuracy
from mfr.benchmark.origin import title_of
from mfr.benchmark.report import Metric, Report
from mfr.benchmark.reporting import (
    check_resamples,
    common_parts,
    count,
    failed_warning,
    resized_warning,
)
from mfr.benchmark.seen import not_known, refuse_seen, seen_domains
from mfr.benchmark.thresholds import measure_settings, own_settings
from mfr.data.manifest import Manifest
from mfr.data.pair_list import pair_protocol, read_pair_list
from mfr.data.protocol import GalleryProbeProtocol, PairProtocol, StoredProtocol
from mfr.errors import DataError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

_SHOWN = 5  # images named in a sentence before it says how many more there are


def benchmark_protocol(
    encoder: Encoder,
    manifest: Manifest,
    protocol: StoredProtocol,
    *,
    seed: int = 0,
    resamples: int = 1000,
    command: str = "",
    allow_seen: bool = False,
    name: str = "",
) -> Report:
    """Judge an encoder by a dataset's own protocol.

    Pairs give the accuracy over folds, TAR at FMRs, AUC and EER of all pairs together. A gallery
    with probes gives TAR at FMRs, AUC, EER and rank-1 identification of every fold, and their mean
    and standard deviation. Every image counts, whatever its split: comparisons with one without a
    crop fail (see `mfr.benchmark.metrics`).

    Args:
        seed: chooses the bootstrap resamples.
        resamples: of the bootstrap; 0 for no intervals.
        command: what the user ran, for the report.
        allow_seen: judge also people whom the model has seen, and say so in the report.
        name: what the model is called in the title.

    Raises:
        DataError: an image is not in the manifest or has not been aligned yet, there is no
            comparison of a kind, or the model was trained, validated or calibrated on people of it.
        ConfigError: a negative number of resamples.
        ModelError: the model gives an embedding that is not finite.
    """
    check_resamples(resamples)
    rows = _rows(manifest, protocol)
    everyone = rows
    seen = refuse_seen(
        encoder, rows.column("person"), f"protocol {protocol.name}", allow_seen=allow_seen
    )
    embedded = embed_acquired(encoder, rows)
    if isinstance(protocol, PairProtocol):
        metrics, description, judged = _judge_pairs(rows, embedded, protocol, seed, resamples)
    else:
        metrics, description, judged = _judge_searches(rows, embedded, protocol, seed, resamples)
    fta = failure_to_acquire(
        embedded[1], numbered(everyone.column("person")), seed=seed, resamples=resamples
    )
    rows, persons, compared, measured = judged
    places = _places(rows.table["path"], everyone)
    settings = own_settings(encoder, rows, embedded[0][places], embedded[1][places])
    counts = count(rows, compared, persons)
    return Report(
        seen=seen,
        title=f"{title_of(encoder.record, name)} on {protocol.name}",
        protocol=protocol.name,
        description=[*description, f"The protocol is the dataset's own ({protocol.source})."],
        metrics=[*metrics, fta],
        fixed_thresholds=measure_settings(
            settings, compared, persons, seed=seed, resamples=resamples
        ),
        counts=counts,
        warnings=[
            *seen_domains(encoder, everyone.domains, split=None, told=seen is not None),
            *not_known(encoder),
            *failed_warning(counts),
            *resized_warning(rows),
        ],
        split=None,
        **common_parts(
            encoder,
            rows,
            compared,
            measured,
            domain=protocol.domain,
            seed=seed,
            resamples=resamples,
            command=command,
        ),
    )


def benchmark_lfw(
    encoder: Encoder,
    manifest: Manifest,
    pairs_path: str | Path,
    *,
    domain: str = "lfw",
    seed: int = 0,
    resamples: int = 1000,
    command: str = "",
    allow_seen: bool = False,
    name: str = "",
) -> Report:
    """Judge an encoder on a list of pairs as LFW's, without storing it: see `benchmark_protocol`.

    Raises:
        DataError: also for a malformed list.
    """
    check_resamples(resamples)
    protocol = pair_protocol(
        read_pair_list(pairs_path),
        manifest.where(domains=[domain]),
        name="lfw",
        domain=domain,
        source=Path(pairs_path).name,
    )
    return benchmark_protocol(
        encoder,
        manifest,
        protocol,
        seed=seed,
        resamples=resamples,
        command=command,
        allow_seen=allow_seen,
        name=name,
    )


_Embedded = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Embeddings of rows, and which rows have one, as `embed_acquired` gives them."""

_Judged = tuple[Manifest, NDArray[np.int32], Compared, Measurement]
"""What the counts, curves and mistakes of a report are about: rows, their persons, comparisons."""


def _judge_pairs(
    rows: Manifest,
    embedded: _Embedded,
    protocol: PairProtocol,
    seed: int,
    resamples: int,
) -> tuple[list[Metric], list[str], _Judged]:
    first, second = _places(protocol.table["first"], rows), _places(protocol.table["second"], rows)
    mated = np.asarray(protocol.table["mated"])
    compared = compare_listed(embedded[0], first, second, mated, embedded[1])
    # The list decides who is who, so people are told apart by the names it goes by.
    persons = numbered(rows.column("identity"))
    measured = measure(compared, persons, seed=seed, resamples=resamples)
    scores = np.empty(len(mated), np.float32)
    scores[mated], scores[~mated] = compared.mated.scores, compared.nonmated.scores
    description = [
        f"{len(mated)} listed pairs in {protocol.folds} fold(s).",
        "The model may have learned from any other labelled faces (LFW calls this 'unrestricted, "
        "labelled outside data').",
    ]
    accuracy = _accuracy_metric(scores, mated, np.asarray(protocol.table["fold"]), protocol.folds)
    return [accuracy, *measured.metrics], description, (rows, persons, compared, measured)


def _judge_searches(
    rows: Manifest,
    embedded: _Embedded,
    protocol: GalleryProbeProtocol,
    seed: int,
    resamples: int,
) -> tuple[list[Metric], list[str], _Judged]:
    places = _places(protocol.table["path"], rows)
    fold_of, in_gallery = (
        np.asarray(column)
        for column in (protocol.table["fold"], pc.equal(protocol.table["role"], "gallery"))
    )
    embeddings, acquired = embedded
    judged: list[_Judged] = []
    metrics = []
    for fold in range(protocol.folds):  # one at a time: the scores of a fold are many
        here = fold_of == fold
        order = np.argsort(places[here])
        chosen = places[here][order]
        part = take_rows(rows, chosen.tolist())
        persons = numbered(part.column("person"))
        compared = compare_with_gallery(
            embeddings[chosen], persons, in_gallery[here][order], acquired[chosen]
        )
        measured = measure(compared, persons, seed=seed, resamples=0 if fold else resamples)
        metrics.append(measured.metrics)
        judged = judged or [(part, persons, compared, measured)]
    description = [
        "Every probe is compared with every image of the gallery. Who is mated is said by the "
        "manifest's 'person'; probes of people who are not in the gallery count as non-mated "
        "comparisons and not in rank-1.",
    ]
    if protocol.folds > 1:
        description.append(
            f"The metrics are means over {protocol.folds} folds; counts, curves and mistakes are "
            "those of the first."
        )
    return _averaged(metrics), description, judged[0]


def _averaged(folds: Sequence[Sequence[Metric]]) -> list[Metric]:
    if len(folds) == 1:
        return list(folds[0])
    means = []
    for metrics in zip(*folds, strict=True):
        known = [metric.value for metric in metrics if metric.value is not None]
        unknown = next((metric for metric in metrics if metric.value is None), None)
        rule = f"{metrics[0].rule} Mean and standard deviation (ddof 1) over the folds."
        means.append(
            Metric(
                key=metrics[0].key,
                name=metrics[0].name,
                rule=rule,
                unit=metrics[0].unit,
                value=float(np.mean(known)) if unknown is None else None,
                reason=unknown.reason if unknown else None,
                folds=known if unknown is None else None,
                deviation=float(np.std(known, ddof=1)) if unknown is None else None,
            )
        )
    return means


def _accuracy_metric(
    scores: NDArray[np.float32], mated: NDArray[np.bool_], fold_of: NDArray[np.int32], folds: int
) -> Metric:
    if folds == 1:
        return Metric(
            key="accuracy",
            name="Accuracy",
            rule="Mean over the folds, each judged with the threshold best on the others.",
            value=None,
            reason="The list has one fold, so no other one could choose the threshold.",
        )
    accuracy = fold_accuracy(scores, mated, fold_of)
    reach = float(student.ppf(0.975, folds - 1)) * accuracy.standard_error
    return Metric(
        key="accuracy",
        name=f"{folds}-fold accuracy",
        rule="Mean over the folds, each judged with the threshold best on the others; the "
        f"standard error is the standard deviation over the folds (ddof 1) / sqrt({folds}).",
        value=accuracy.mean,
        interval=(max(accuracy.mean - reach, 0.0), min(accuracy.mean + reach, 1.0)),
        interval_method="Student's t over the folds; those share people and training pairs, so "
        "take it as the best case.",
        standard_error=accuracy.standard_error,
    )


def _rows(manifest: Manifest, protocol: StoredProtocol) -> Manifest:
    """The rows the protocol speaks of, each once, in the order of their paths.

    Raises:
        DataError: an image is missing or has not been aligned yet.
    """
    protocol.check_paths(manifest)
    used = np.unique(np.concatenate([protocol.column(name) for name in protocol.PATHS]))
    places = pc.index_in(pa.array(used, pa.string()), value_set=manifest.table["path"])
    rows = take_rows(manifest, places.to_pylist())
    pending = [
        path
        for path, state in zip(rows.column("path"), rows.column("alignment"), strict=True)
        if state == "pending"
    ]
    if pending:
        more = f" and {len(pending) - _SHOWN} more" if len(pending) > _SHOWN else ""
        raise DataError(
            f"{len(pending)} of the {len(rows)} images of the protocol have not been aligned yet "
            f"({', '.join(pending[:_SHOWN])}{more}): run 'mfr data align' first."
        )
    return rows


def _places(paths: pa.ChunkedArray, rows: Manifest) -> NDArray[np.int32]:
    """Where each path stands among ``rows``."""
    places: NDArray[np.int32] = np.asarray(pc.index_in(paths, value_set=rows.table["path"]))
    return places
