"""The training runs: aggregation and MFR tune one start on as many images, by several seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from data_tools.quickstart.plan import SOURCES, START, Plan
from mfr.config import RunConfig, make_run_config
from mfr.presets import RECIPE, with_preset
from mfr.training import trainer
from mfr.training.run_log import read_log

AGG, MFR = "agg", "mfr"
METHODS: Final = (AGG, MFR)
_NO_LOSS: Final = ("step", "kind", "gradient_norm", "beta", "images_per_second")


class Curve(BaseModel):
    """The values in a run's log, as (step, value).

    Attributes:
        losses: the values of each loss, by its name.
        validation: TAR at FMR 1% on the validation people, averaged over the source domains.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    losses: dict[str, list[tuple[int, float]]]
    validation: list[tuple[int, float]]


class Learned(BaseModel):
    """The finished runs of one method.

    Attributes:
        method: its name in the trainer.
        steps: of each run.
        images: that each run has seen.
        shares: how far each model lies from the start to the end of its run, 0 to 1.
        curves: of each run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    steps: int
    images: int
    shares: list[float]
    curves: list[Curve]


def run_config(plan: Plan, name: str, dataset: Path, seed: int) -> RunConfig:
    """The configuration of a run of the method ``name``."""
    if name == AGG:
        own = {"beta": plan.agg_rate}
    else:
        own = {
            "beta": plan.mfr_rate,
            "alpha": plan.mfr_inner_rate,
            "scale": plan.mfr_scale,
            "hard_pair_weight": plan.mfr_hard_pairs,
            "margin_weight": plan.mfr_margin,
        }
    values: dict[str, Any] = {
        "data": dataset,
        "sources": list(SOURCES),
        "method": name,
        "init": START,
        "identities": plan.side,
        "steps": plan.steps,
        "seed": seed,
        "validate_every": plan.steps,
        "checkpoint_every": 10,
        "margin_scale": plan.agg_scale,
        "cosface_margin": plan.agg_margin,
        "augment": {},
        # Here both results are shown, whatever they are.
        "accept_worse": True,
        **own,
    }
    return make_run_config(with_preset(RECIPE, values))


def run_directory(name: str, seed: int) -> str:
    """The name of the directory of one run."""
    return f"{name}-{seed}"


def learn(
    plan: Plan, name: str, dataset: Path, runs: Path, progress: Callable[[int, int, str], None]
) -> Learned:
    """Do the runs of the method ``name`` in ``runs`` that are not finished.

    Raises:
        KeyboardInterrupt: a run was stopped by Ctrl-C and saved.
        TrainingError, DataError, WriteError: for the reasons that the trainer gives.
    """
    total = plan.repeats * plan.steps
    for number, seed in enumerate(plan.seeds):

        def report(done: int, note: str, before: int = number * plan.steps) -> None:
            progress(before + done, total, note)

        config = run_config(plan, name, dataset, seed)
        train(config, runs / run_directory(name, seed), report)
    places = [runs / run_directory(name, seed) for seed in plan.seeds]
    return Learned(
        method=name,
        steps=plan.steps,
        images=plan.steps * plan.images_per_step,
        shares=[_share(place) for place in places],
        curves=[read_curve(place) for place in places],
    )


def train(config: RunConfig, out: Path, report: Callable[[int, str], None]) -> None:
    """Start the run in ``out`` or resume it, unless it is already finished.

    Args:
        report: called with the number of steps done and a note.

    Raises:
        KeyboardInterrupt: the run was stopped by Ctrl-C and saved.
        TrainingError, DataError, WriteError: for the reasons that the trainer gives.
    """

    def watch(told: trainer.Progress) -> None:
        if told.kind == "train":
            losses = [value for name, value in told.values.items() if _is_loss(name)]
            report(told.step, f"losses {sum(losses):.2f}")
        elif told.kind == "validation":
            report(told.step, f"held-out TAR at FMR 1% {_mean_tar(told.values):.1%}")

    if (out / trainer.MODEL_NAME).exists():
        return
    if (out / trainer.CONFIG_NAME).exists():
        result = trainer.resume(out, watch=watch)
    else:
        result = trainer.start(config, out, watch=watch)
    if result.model is None:
        raise KeyboardInterrupt


def read_curve(out: Path) -> Curve:
    """Read the curves of the run in ``out`` from its log."""
    losses: dict[str, list[tuple[int, float]]] = {}
    validation = []
    for record in read_log(out):
        if record["kind"] == "validation":
            validation.append((record["step"], _mean_tar(record)))
        if record["kind"] != "train":
            continue
        for name, value in record.items():
            if _is_loss(name):
                losses.setdefault(name, []).append((record["step"], value))
    return Curve(losses=losses, validation=validation)


def _share(out: Path) -> float:
    results = (record["share"] for record in read_log(out) if record["kind"] == "result")
    return float(next(results))


def _is_loss(name: str) -> bool:
    return name not in _NO_LOSS and not name.startswith("seconds")


def _mean_tar(metrics: dict[str, Any]) -> float:
    tars = [value for name, value in metrics.items() if name.endswith("/tar")]
    return sum(tars) / max(1, len(tars))
