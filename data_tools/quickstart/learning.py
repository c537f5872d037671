"""The three training runs: a short start, then aggregation and MFR on equally many images each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from data_tools.quickstart.plan import BACKBONE, SOURCES, Plan
from mfr.config import RunConfig
from mfr.training import trainer
from mfr.training.run_log import read_log

START, AGG, MFR = "start", "agg", "mfr"
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
    """One finished run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    steps: int
    images: int
    curve: Curve


def run_config(plan: Plan, name: str, dataset: Path, start: Path | None) -> RunConfig:
    """The configuration of the run ``name``; both methods continue from the model ``start``."""
    steps = plan.start_steps if name == START else plan.steps
    common: dict[str, Any] = {
        "data": dataset,
        "sources": list(SOURCES),
        "identities": plan.side,
        "steps": steps,
        "seed": plan.seed,
        "halve_every": steps + 1 if name == START else plan.halve_every,
        "validate_every": max(1, steps // 4),
        "checkpoint_every": 10,
        "init": None if start is None else str(start),
        "accept_worse": True,
    }
    if name == START:
        return RunConfig(
            method="agg-rnd",
            backbone=BACKBONE,
            beta=plan.start_rate,
            margin_scale=plan.scale,
            **common,
        )
    if name == AGG:
        return RunConfig(method="agg", beta=plan.agg_rate, margin_scale=plan.scale, **common)
    return RunConfig(
        method="mfr",
        alpha=plan.mfr_inner_rate,
        beta=plan.mfr_rate,
        gamma=plan.mfr_gamma,
        scale=plan.mfr_scale,
        **common,
    )


def train(config: RunConfig, out: Path, progress: Callable[[int, int, str], None]) -> Learned:
    """Start the run in ``out`` or resume it, unless it is already finished.

    Raises:
        KeyboardInterrupt: the run was stopped by Ctrl-C and saved.
        TrainingError, DataError, WriteError: for the reasons that the trainer gives.
    """

    def watch(told: trainer.Progress) -> None:
        if told.kind == "train":
            losses = [value for name, value in told.values.items() if _is_loss(name)]
            progress(told.step, told.steps, f"losses {sum(losses):.2f}")
        else:
            progress(told.step, told.steps, f"held-out TAR at FMR 1% {_mean_tar(told.values):.1%}")

    if not (out / trainer.MODEL_NAME).exists():
        if (out / trainer.CONFIG_NAME).exists():
            result = trainer.resume(out, watch=watch)
        else:
            result = trainer.start(config, out, watch=watch)
        if result.model is None:
            raise KeyboardInterrupt
    return Learned(
        method=config.method,
        steps=config.steps,
        images=config.steps * 4 * config.identities * len(config.sources),
        curve=read_curve(out),
    )


def read_curve(out: Path) -> Curve:
    """Read the curves of the run in ``out`` from its log."""
    losses: dict[str, list[tuple[int, float]]] = {}
    validation = []
    for record in read_log(out):
        if record["kind"] == "validation":
            validation.append((record["step"], _mean_tar(record)))
            continue
        for name, value in record.items():
            if _is_loss(name):
                losses.setdefault(name, []).append((record["step"], value))
    return Curve(losses=losses, validation=validation)


def _is_loss(name: str) -> bool:
    return name not in _NO_LOSS and not name.startswith("seconds")


def _mean_tar(metrics: dict[str, Any]) -> float:
    tars = [value for name, value in metrics.items() if name.endswith("/tar")]
    return sum(tars) / max(1, len(tars))
