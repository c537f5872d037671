"""What the few-shot reproductions share: options, learners by name, and how a run is started."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import nn

from mfr.allocator import keep_freed_memory
from mfr.meta.few_shot_evaluation import Figures
from mfr.meta.few_shot_training import FewShotRun, Plan, Progress
from mfr.meta.functional import parameters_of
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.meta_sgd import MetaSGD, initial_rates
from mfr.meta.reptile import Reptile
from mfr.meta.rule import Rule
from scripts.lib.job_queue import NOT_FINISHED

LEARNERS: Final = ("maml", "fomaml", "meta-sgd", "reptile")
TEST_SEED: Final = 600_000
CURVE_SEED: Final = 700_000
"""Every run, whatever its seed, is judged on the same tasks."""


def options_parser(doc: str | None, learners: Sequence[str] = LEARNERS) -> argparse.ArgumentParser:
    """The options that all runs have."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--learner", choices=learners, required=True)
    parser.add_argument("--out", type=Path, required=True, help="directory of the run's files")
    parser.add_argument("--iterations", type=int, help="outer steps; default: the paper's")
    parser.add_argument("--minutes", type=float, help="processor minutes to train")
    parser.add_argument(
        "--stop-after",
        type=float,
        metavar="MINUTES",
        help=f"by the clock: save, exit with status {NOT_FINISHED}, and go on when run again",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test-tasks", type=int, default=600)
    parser.add_argument("--judge-every", type=int, default=1000, help="iterations; saves as well")
    parser.add_argument("--curve-tasks", type=int, default=50, help="of a point of the curve")
    parser.add_argument("--device", default="cpu")
    return parser


def make_rule(
    name: str, network: nn.Module, *, alpha: float, steps: int, seed: int, reptile: Reptile
) -> Rule:
    """A rule by its name on the command line; Reptile shares none of the others' settings."""
    if name == "reptile":
        return reptile
    if name == "meta-sgd":
        return MetaSGD(initial_rates(network, seed))
    return MAML(alpha=alpha, steps=steps, first_order=name == "fomaml")


def make_learner(network: nn.Module, rule: Rule, outer_rate: float) -> MetaLearner:
    """The rule with its paper's outer optimiser: Adam, or for Reptile plain steps."""
    network_parameters = list(parameters_of(network).values())
    own = list(rule.own_parameters.values())
    if isinstance(rule, Reptile):
        groups = [{"params": network_parameters, "lr": outer_rate}]
        # The carried moments move at full rate, whatever theta's rate has fallen to.
        groups += [{"params": own, "lr": 1.0}] if own else []
        return MetaLearner(network, rule, torch.optim.SGD(groups))
    return MetaLearner(network, rule, torch.optim.Adam([*network_parameters, *own], lr=outer_rate))


def train_and_judge(
    run: FewShotRun, options: argparse.Namespace, judge: Callable[[], Figures]
) -> tuple[Progress, Figures]:
    """Train, or go on; once that is done, judge on the test tasks and keep the result.

    Exits with `NOT_FINISHED` if --stop-after ended the training.
    """
    keep_freed_memory()
    plan = Plan(options.iterations, options.minutes, options.judge_every, options.stop_after)

    def say(progress: Progress) -> None:
        figures = progress.curve[-1]["held_out"]
        shown = ", ".join(f"{key} {value['mean']:.4g}" for key, value in figures.items())
        print(f"{run.headline(progress)}: {shown}", flush=True)

    progress = run.train(plan, say)
    if not run.finished(progress, plan):
        print(f"{run.headline(progress)}: stopped and saved; run the same command to go on")
        sys.exit(NOT_FINISHED)
    result = judge()
    run.write(plan, progress, result)
    return progress, result
