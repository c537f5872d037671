"""The judgement of the start and of both methods on the test people of every domain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from data_tools.quickstart.learning import AGG, METHODS, MFR, run_directory
from data_tools.quickstart.plan import SOURCES, START, UNSEEN, Plan
from data_tools.quickstart.repeats import METRICS, Estimate, Measured, measure
from data_tools.quickstart.verdict import Difference, Verdict, reach_verdict, rule
from mfr.benchmark.protocols import benchmark_domain
from mfr.benchmark.report import RocCurve
from mfr.benchmark.writing import write_report
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.models import load_encoder
from mfr.training.trainer import MODEL_NAME

BEFORE: Final = "start"
NETWORKS: Final = (BEFORE, *METHODS)
VERDICT_METRIC: Final = METRICS[0]
"""The metric that decides the verdict."""
_WHERE: Final = "masked faces, a domain that neither has seen"


class Judgement(BaseModel):
    """All results.

    Attributes:
        domains: the metrics by domain, the unseen one first, by network and by the metric's key; a
            method's are means over its seeds.
        mfr_less_agg: by domain, MFR minus aggregation, the metric of the verdict first.
        less_start: by domain and by method, the method minus the start, likewise.
        rocs: the ROC on the unseen domain by network; of a method, that of its first seed.
        verdict: the verdict on the unseen domain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    domains: dict[str, dict[str, dict[str, Estimate]]]
    mfr_less_agg: dict[str, list[Difference]]
    less_start: dict[str, dict[str, list[Difference]]]
    rocs: dict[str, RocCurve]
    verdict: Verdict

    @property
    def on_sources(self) -> str:
        """A sentence that compares MFR with aggregation in the domains of training."""
        rulings = [rule(self.mfr_less_agg[domain][0]) for domain in SOURCES]
        return (
            f"Of the {len(SOURCES)} domains in which both were trained, MFR is better than "
            f"aggregation in {rulings.count('better')}, worse in {rulings.count('worse')} and not "
            f"distinguishable from it in {rulings.count('undecided')}."
        )

    @property
    def on_start(self) -> str:
        """A sentence that compares both methods with the start on the unseen domain."""
        rulings = [rule(self.less_start[UNSEEN][name][0]) for name in (MFR, AGG)]
        if rulings[0] == rulings[1]:
            both = {
                "better": "both are better than",
                "worse": "both are worse than",
                "undecided": "neither can be told from",
            }
            return f"On masked faces, {both[rulings[0]]} the start that they tune."
        words = {
            "better": "is better than",
            "worse": "is worse than",
            "undecided": "cannot be told from",
        }
        mfr, agg = (words[ruling] for ruling in rulings)
        return f"On masked faces, MFR {mfr} the start that both tune, and aggregation {agg} it."


def judge(
    plan: Plan,
    dataset: Path,
    runs: Path,
    reports: Path,
    progress: Callable[[int, int], None],
) -> Judgement:
    """Judge the start and the models in ``runs`` on every domain.

    The full benchmark reports of each method's first model on the unseen domain are written to
    ``reports``.

    Raises:
        MfrError: a model or the dataset is missing or damaged, or the disk is full.
    """
    manifest = Manifest.read(dataset)
    encoders = {BEFORE: [load_encoder(START)]}
    for name in METHODS:
        encoders[name] = [Encoder.load(model_file(runs, name, seed)) for seed in plan.seeds]
    places = [UNSEEN, *SOURCES]
    steps = (len(places) + 1) * len(NETWORKS)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, steps)

    domains: dict[str, dict[str, dict[str, Estimate]]] = {}
    less_agg: dict[str, list[Difference]] = {}
    less_start: dict[str, dict[str, list[Difference]]] = {}
    for domain in places:
        found: dict[str, Measured] = {}
        for name, of_seeds in encoders.items():
            found[name] = measure(
                of_seeds, manifest, domain, seed=plan.seed, resamples=plan.resamples
            )
            step()
        domains[domain] = {name: one.estimates() for name, one in found.items()}
        less_agg[domain] = found[MFR].less(found[AGG])
        less_start[domain] = {name: found[name].less(found[BEFORE]) for name in METHODS}
    rocs: dict[str, RocCurve] = {}
    for name, of_seeds in encoders.items():
        rocs[name] = _reported(of_seeds[0], manifest, name, plan, reports)
        step()
    values = {name: domains[UNSEEN][name][VERDICT_METRIC].value for name in METHODS}
    return Judgement(
        domains=domains,
        mfr_less_agg=less_agg,
        less_start=less_start,
        rocs=rocs,
        verdict=reach_verdict(
            values[MFR], values[AGG], less_agg[UNSEEN][0], where=_WHERE, seeds=plan.repeats
        ),
    )


def model_file(runs: Path, name: str, seed: int) -> Path:
    """Where the run of the method ``name`` by ``seed`` puts its model."""
    return runs / run_directory(name, seed) / MODEL_NAME


def _reported(
    encoder: Encoder, manifest: Manifest, name: str, plan: Plan, reports: Path
) -> RocCurve:
    model = START if name == BEFORE else str(model_file(Path("runs"), name, plan.seed))
    report = benchmark_domain(
        encoder,
        manifest,
        UNSEEN,
        seed=plan.seed,
        resamples=plan.resamples,
        command=f"mfr benchmark {model} --data dataset --domain {UNSEEN} --seed {plan.seed}",
    )
    write_report(report, reports / name)
    return report.roc
