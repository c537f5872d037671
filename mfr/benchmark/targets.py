"""Methods on domains that none of their runs has seen: each domain in turn the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Final, Literal

import numpy as np

from mfr.benchmark.measurement import Measurement
from mfr.benchmark.page import make_environment
from mfr.benchmark.paired import Difference, mean_between
from mfr.benchmark.report import Counts, Environment, Part
from mfr.benchmark.verdicts import compared_verdict, named, percent

_TEMPLATE: Final = "targets.html.j2"


class MethodOnTarget(Part):
    """A method's runs on one target.

    Attributes:
        values: by metric, the value of each seed.
        thin: the metrics that rest on few errors with a seed (`mfr.benchmark.report.Metric.thin`).
        difference: its mean over seeds minus that of the first method, in each metric.
    """

    values: dict[str, list[float]]
    thin: list[str]
    difference: list[Difference]

    def mean(self, key: str) -> float | None:
        """The mean over seeds of a metric; None if it was not measured."""
        return float(np.mean(self.values[key])) if self.values.get(key) else None


class Target(Part):
    """A domain that the runs have not seen, and what each method makes of it.

    Attributes:
        counts: of what was compared.
        sources: the domains that the runs were trained on.
        methods: by name, what the others are compared with first.
        interval_reason: why differences have no interval, where they have none; a sentence.
    """

    counts: Counts
    sources: list[str]
    methods: dict[str, MethodOnTarget]
    interval_reason: str | None = None


class LeaveOneOut(Part):
    """Every domain in turn the target, each method on equal images, several seeds.

    Attributes:
        methods: what the others are compared with first.
        steps: of each method's runs, so that all see the same number of images.
        images: how many each run sees, at least.
        overall: by method, the mean over targets of its differences from the first.
    """

    format: Literal["mfr-leave-one-out"] = "mfr-leave-one-out"
    version: int = 1
    title: str
    verdict: list[str]
    methods: list[str]
    seeds: list[int]
    images: int
    steps: dict[str, dict[str, int]]
    targets: dict[str, Target]
    overall: dict[str, dict[str, float]]
    command: str
    resamples: int
    environment: Environment
    created: str


def judge_target(
    measured: Mapping[str, Sequence[Measurement]], counts: Counts, sources: Sequence[str]
) -> Target:
    """Compare methods on one target.

    Args:
        measured: by method, the first first, a measurement of each seed's run.
        counts: of the comparisons.
        sources: what the runs were trained on.
    """
    first = next(iter(measured.values()))
    methods = {}
    for name, runs in measured.items():
        values = {
            key: [float(v) for v in found if v is not None]
            for key in [metric.key for metric in runs[0].metrics]
            if (found := [_value(run, key) for run in runs])
        }
        differences = mean_between(runs, first) if runs is not first else []
        methods[name] = MethodOnTarget(
            values={key: found for key, found in values.items() if len(found) == len(runs)},
            thin=sorted({one.key for run in runs for one in run.metrics if one.thin}),
            difference=differences,
        )
    return Target(
        counts=counts,
        sources=list(sources),
        methods=methods,
        interval_reason=_why_no_intervals(first[0]) if len(methods) > 1 else None,
    )


def _why_no_intervals(run: Measurement) -> str | None:
    """Why its metrics have no intervals; None where one has."""
    if any(metric.interval for metric in run.metrics):
        return None
    reasons = (metric.interval_reason for metric in run.metrics if metric.interval_reason)
    return next(reasons, "No resamples were drawn, so there are no intervals.")


def over_targets(targets: Mapping[str, Target]) -> dict[str, dict[str, float]]:
    """By method, the mean over targets of its difference from the first, of what all measured."""
    means: dict[str, dict[str, float]] = {}
    for name in list(next(iter(targets.values())).methods)[1:]:
        by_target = [
            {one.key: one.value for one in target.methods[name].difference}
            for target in targets.values()
        ]
        shared = [key for key in by_target[0] if all(key in one for one in by_target)]
        means[name] = {key: float(np.mean([one[key] for one in by_target])) for key in shared}
    return means


def targets_verdict(methods: Sequence[str], targets: Mapping[str, Target]) -> list[str]:
    """How each method differs from the first, on which targets."""
    return compared_verdict(
        methods,
        {
            domain: {name: one.difference for name, one in target.methods.items()}
            for domain, target in targets.items()
        },
    )


def render_targets(report: LeaveOneOut) -> str:
    """The page; everything that comes from data is escaped."""
    environment = make_environment()
    environment.filters.update(named=named, percent=percent)
    source = resources.files("mfr.benchmark").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    methods = [one for target in report.targets.values() for one in target.methods.values()]
    keys = list(dict.fromkeys(key for one in methods for key in one.values))
    return environment.from_string(source).render(
        report=report, keys=keys, spread=_spread, thin=any(one.thin for one in methods)
    )


def _spread(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _value(run: Measurement, key: str) -> float | None:
    return next((metric.value for metric in run.metrics if metric.key == key), None)
