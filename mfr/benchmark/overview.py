"""Several models on several domains in one report: what each is worth, and how much they differ.

The first model is what the others are compared with. All are judged on the same images by the same
comparisons and resamples, so that their differences are paired (see `mfr.benchmark.paired`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mfr.benchmark.groups import Grouping
from mfr.benchmark.measurement import score_histogram
from mfr.benchmark.metrics import Scores
from mfr.benchmark.origin import data_sentences, recipe_sentences, title_of
from mfr.benchmark.paired import Difference, between
from mfr.benchmark.protocols import Judged, Protocol, judge_domain
from mfr.benchmark.report import (
    Counts,
    Environment,
    FixedThreshold,
    Histogram,
    Metric,
    Mistake,
    Part,
    Report,
    RocCurve,
    describe_environment,
)
from mfr.benchmark.verdicts import compared_verdict, promises_verdict
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

_EDGES: Final = np.linspace(-1, 1, 101)
_SHOWN_MISTAKES: Final = 4  # of each kind, for each model and domain
_MAPPED: Final = 150  # images of a domain on a map


class JudgedModel(Part):
    """A model of an overview: its title, its hash, and where it comes from in sentences."""

    title: str
    model_hash: str
    recipe: list[str]
    data: list[str]


class Standing(Part):
    """A model on a domain.

    Attributes:
        status: whether it was trained on the domain (`mfr.benchmark.origin.domain_status`).
        seen: whom of these people it has seen, if any; a sentence.
        metrics: as in its report.
        fixed_thresholds: as in its report.
        roc: as in its report.
        cmc: as in its report.
        histogram: its scores in bins that all domains share.
        mistakes: the worst of them.
        warnings: as in its report.
    """

    status: str
    seen: str | None
    metrics: list[Metric]
    fixed_thresholds: list[FixedThreshold]
    roc: RocCurve
    cmc: list[float]
    histogram: Histogram
    mistakes: list[Mistake]
    warnings: list[str]

    def metric(self, key: str) -> Metric:
        """The metric whose key is ``key``; KeyError if there is none."""
        return next(metric for metric in self.metrics if metric.key == key)


class JudgedDomain(Part):
    """A domain of an overview: its counts, each model's standing, and differences to the first."""

    counts: Counts
    standings: dict[str, Standing]
    differences: dict[str, list[Difference]]


class EmbeddingMap(Part):
    """Where the images of each domain lie on the two first principal components of them all.

    ``share`` is the share of the variance that the two have.
    """

    share: float
    points: dict[str, list[tuple[float, float]]]


class Overview(Part):
    """Several models on several domains."""

    format: Literal["mfr-overview"] = "mfr-overview"
    version: int = 1
    title: str
    verdict: list[str]
    protocol: str
    split: str
    models: dict[str, JudgedModel] = Field(description="by name, what is compared with first")
    domains: dict[str, JudgedDomain]
    maps: dict[str, EmbeddingMap] = Field(description="by model")
    command: str
    seed: int
    resamples: int
    environment: Environment
    created: str = Field(description="UTC, ISO 8601")


@dataclass(frozen=True)
class Overviewed:
    """An overview, and the whole report of each model on each domain, by (model, domain)."""

    overview: Overview
    reports: dict[tuple[str, str], Report]


def judge_models(
    encoders: Mapping[str, Encoder],
    manifest: Manifest,
    domains: Sequence[str],
    *,
    split: str = "test",
    protocol: Protocol = "gallery-probe",
    seed: int = 0,
    resamples: int = 1000,
    command: str = "",
    allow_seen: bool = False,
    gap_from: Sequence[str] = (),
    groups: Grouping | None = None,
) -> Overviewed:
    """Judge models on domains, each as `mfr.benchmark.protocols.judge_domain` does.

    Args:
        encoders: by name; the first is what the others are compared with.
        domains: whose people, those of ``split``.
        gap_from: domains on which a threshold is set to be tried on the others.
        groups: whose rates are reported apart, in each model's own reports.

    Raises:
        ConfigError: no model or no domain, or as `judge_domain`.
        DataError, ModelError: as `judge_domain`.
    """
    if not encoders or not domains:
        raise ConfigError("An overview needs at least one model and one domain: name them.")
    reports: dict[tuple[str, str], Report] = {}
    judged_domains: dict[str, JudgedDomain] = {}
    samples: dict[str, dict[str, NDArray[np.float32]]] = {name: {} for name in encoders}
    for domain in domains:
        judged = {
            name: judge_domain(
                encoder,
                manifest,
                domain,
                split=split,
                protocol=protocol,
                seed=seed,
                resamples=resamples,
                command=command,
                allow_seen=allow_seen,
                name=name,
                gap_from=[one for one in gap_from if one != domain],
                groups=groups,
            )
            for name, encoder in encoders.items()
        }
        first, *others = judged
        judged_domains[domain] = JudgedDomain(
            counts=judged[first].report.counts,
            standings={name: _standing(one) for name, one in judged.items()},
            differences={
                name: between(judged[name].measured, judged[first].measured) for name in others
            },
        )
        for name, one in judged.items():
            reports[name, domain] = one.report
            samples[name][domain] = _sample(one)
    names = list(encoders)
    return Overviewed(
        Overview(
            title=f"{' against '.join([', '.join(names[1:]), names[0]] if names[1:] else names)} "
            f"on {', '.join(domains)}",
            verdict=[
                *_told_twins(encoders),
                *compared_verdict(
                    names, {domain: one.differences for domain, one in judged_domains.items()}
                ),
                *promises_verdict(reports),
            ],
            protocol=protocol,
            split=split,
            models={
                name: JudgedModel(
                    title=title_of(encoder.record, name),
                    model_hash=encoder.model_hash,
                    recipe=recipe_sentences(encoder.record),
                    data=data_sentences(encoder.record),
                )
                for name, encoder in encoders.items()
            },
            domains=judged_domains,
            maps={name: map_embeddings(sample) for name, sample in samples.items()},
            command=command,
            seed=seed,
            resamples=resamples,
            environment=describe_environment(next(iter(encoders.values())).device),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        ),
        reports,
    )


def _told_twins(encoders: Mapping[str, Encoder]) -> list[str]:
    """A sentence for each model that was given before, under another name."""
    first: dict[str, str] = {}  # by hash
    sentences = []
    for name, encoder in encoders.items():
        twin = first.setdefault(encoder.model_hash, name)
        if twin != name:
            sentences.append(f"{name} and {twin} are one model, given twice.")
    return sentences


def map_embeddings(samples: Mapping[str, NDArray[np.float32]]) -> EmbeddingMap:
    """Principal components of the embeddings of all domains together.

    Args:
        samples: by domain, (n, D) each.
    """
    every = np.concatenate(list(samples.values())).astype(np.float64)
    centred = every - every.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    # The sign of a component is arbitrary: its largest weight is made positive.
    directions = directions[:2]
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    places = np.zeros((len(every), 2))
    places[:, : len(directions)] = centred @ directions.T
    points, start = {}, 0
    for domain, sample in samples.items():
        part = places[start : start + len(sample)].round(4)
        points[domain] = [(float(x), float(y)) for x, y in part]
        start += len(sample)
    variance = np.square(sizes)
    return EmbeddingMap(
        share=float(variance[:2].sum() / max(float(variance.sum()), 1e-12)), points=points
    )


def _sample(judged: Judged) -> NDArray[np.float32]:
    """Embeddings of some images of a domain, evenly spaced in the order of their paths."""
    there = np.flatnonzero(judged.acquired)
    if len(there) > _MAPPED:
        there = there[np.linspace(0, len(there) - 1, _MAPPED).astype(np.intp)]
    return judged.embeddings[there]


def _standing(judged: Judged) -> Standing:
    report = judged.report
    compared = judged.compared
    scores = Scores.of(compared.mated.scores, compared.nonmated.scores)
    kinds = ("nonmated", "mated")
    return Standing(
        status=report.status,
        seen=report.seen,
        metrics=report.metrics,
        fixed_thresholds=report.fixed_thresholds,
        roc=report.roc,
        cmc=report.cmc,
        histogram=score_histogram(scores, _EDGES),
        mistakes=[one for kind in kinds for one in _of_different_people(report, kind)],
        warnings=report.warnings,
    )


def _of_different_people(report: Report, kind: str) -> list[Mistake]:
    """The worst mistakes of a kind, one for each pair of people."""
    worst: dict[frozenset[str], Mistake] = {}
    for one in report.mistakes:
        if one.kind == kind:
            worst.setdefault(frozenset(one.identities), one)
    return list(worst.values())[:_SHOWN_MISTAKES]
