"""The judgement of all networks on the test people of every domain, and of MFR and aggregation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from pydantic import BaseModel, ConfigDict

from data_tools.quickstart.learning import AGG, MFR, START
from data_tools.quickstart.plan import BACKBONE, SOURCES, UNSEEN, Plan
from data_tools.quickstart.verdict import Difference, Verdict, reach_verdict, rule
from mfr.backbones import build_backbone
from mfr.benchmark.paired import compare_encoders
from mfr.benchmark.protocols import benchmark_domain
from mfr.benchmark.report import Counts, Metric, Report, RocCurve
from mfr.benchmark.writing import write_report
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder

UNTRAINED: Final = "untrained"
NETWORKS: Final = (UNTRAINED, START, AGG, MFR)
VERDICT_METRIC: Final = "tar@fmr=0.01"
"""The metric that decides the verdict."""
_WHERE: Final = "masked faces, a domain that neither has seen"


class Judged(BaseModel):
    """The results of one network on one domain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: list[Metric]
    roc: RocCurve
    counts: Counts

    def metric(self, key: str) -> Metric:
        """The metric with the given key."""
        return next(one for one in self.metrics if one.key == key)


class Judgement(BaseModel):
    """All results.

    Attributes:
        domains: the results by domain, the unseen one first, and then by network.
        mfr_less_agg: by domain, the paired differences between MFR and aggregation.
        above_untrained: by domain and by trained network, its TAR at FMR 1% minus that of the
            untrained network.
        verdict: the verdict on the unseen domain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    domains: dict[str, dict[str, Judged]]
    mfr_less_agg: dict[str, list[Difference]]
    above_untrained: dict[str, dict[str, Difference]]
    verdict: Verdict

    @property
    def learned(self) -> bool:
        """Whether both trained networks clearly beat chance and the untrained one everywhere."""
        return all(
            rule(difference) == "better" and _beats_chance(self.domains[domain][name])
            for domain, differences in self.above_untrained.items()
            for name, difference in differences.items()
        )

    @property
    def on_sources(self) -> str:
        """A sentence that compares MFR with aggregation in the domains of training."""
        rulings = [rule(self.mfr_less_agg[domain][0]) for domain in SOURCES]
        return (
            f"Of the {len(SOURCES)} domains in which both were trained, MFR is better than "
            f"aggregation in {rulings.count('better')}, worse in {rulings.count('worse')} and not "
            f"distinguishable from it in {rulings.count('undecided')}."
        )


def untrained(seed: int) -> Encoder:
    """The network before any training."""
    torch.manual_seed(seed)
    return Encoder.from_network(build_backbone(BACKBONE), BACKBONE)


def judge(
    plan: Plan,
    dataset: Path,
    models: dict[str, Path],
    reports: Path,
    progress: Callable[[int, int], None],
) -> Judgement:
    """Judge the untrained network and ``models`` (START, AGG and MFR) on every domain.

    The full benchmark reports of AGG and MFR on the unseen domain are written to ``reports``.

    Raises:
        MfrError: a model or the dataset is missing or damaged, or the disk is full.
    """
    manifest = Manifest.read(dataset)
    encoders = {UNTRAINED: untrained(plan.seed)}
    encoders |= {name: Encoder.load(models[name]) for name in (START, AGG, MFR)}
    places = [UNSEEN, *SOURCES]
    steps = len(places) * (len(NETWORKS) + 1)
    done = 0
    domains: dict[str, dict[str, Judged]] = {}
    less_agg: dict[str, list[Difference]] = {}
    above: dict[str, dict[str, Difference]] = {}
    for domain in places:
        domains[domain] = {}
        for name, encoder in encoders.items():
            report = _benchmark(encoder, manifest, domain, name, plan)
            if domain == UNSEEN and name in (AGG, MFR):
                write_report(report, reports / name)
            domains[domain][name] = Judged(
                metrics=report.metrics, roc=report.roc, counts=report.counts
            )
            done += 1
            progress(done, steps)
        less_agg[domain] = _less(encoders[MFR], encoders[AGG], manifest, domain, plan)
        above[domain] = {
            name: _less(encoders[name], encoders[UNTRAINED], manifest, domain, plan)[0]
            for name in (AGG, MFR)
        }
        done += 1
        progress(done, steps)
    metrics = {name: domains[UNSEEN][name].metric(VERDICT_METRIC).value for name in (MFR, AGG)}
    return Judgement(
        domains=domains,
        mfr_less_agg=less_agg,
        above_untrained=above,
        verdict=reach_verdict(metrics[MFR], metrics[AGG], less_agg[UNSEEN][0], where=_WHERE),
    )


def _benchmark(encoder: Encoder, manifest: Manifest, domain: str, name: str, plan: Plan) -> Report:
    return benchmark_domain(
        encoder,
        manifest,
        domain,
        seed=plan.seed,
        resamples=plan.resamples,
        command=f"mfr benchmark runs/{name}/model.safetensors --data dataset --domain {domain} "
        f"--seed {plan.seed}",
    )


def _less(
    first: Encoder, second: Encoder, manifest: Manifest, domain: str, plan: Plan
) -> list[Difference]:
    found = compare_encoders(
        first, second, manifest, domain, seed=plan.seed, resamples=plan.resamples
    )
    differences = [Difference(**dataclasses.asdict(one)) for one in found]
    # Put the metric of the verdict first.
    return sorted(differences, key=lambda one: one.key != VERDICT_METRIC)


def _beats_chance(judged: Judged) -> bool:
    """Whether the whole interval of the AUC is above one half."""
    area = judged.metric("auc").interval
    return area is not None and area[0] > 0.5
