"""What the few-shot reproductions share: learners by name, the loop, its curve and checkpoints.

A run is two files in its directory: NAME.json, its settings, learning curve and result, and
NAME.safetensors, all it needs to go on. Tasks are functions of the seed and the step, so no
generator's state is kept: a run that was cut off and goes on gives what one in one piece gives.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from mfr import atomic
from mfr.allocator import keep_freed_memory
from mfr.errors import TrainingError
from mfr.meta.functional import Params, Task, parameters_of
from mfr.meta.inner_loop import descend
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.meta_sgd import MetaSGD, initial_rates
from mfr.meta.reptile import Reptile
from mfr.meta.rule import Rule
from mfr.meta.tasks.batch import TaskBatch, TaskSource
from mfr.meta.tasks.prefetch import prefetched
from mfr.tensor_file import write_tensors

LEARNERS = ("maml", "fomaml", "meta-sgd", "reptile")
TEST_SEED, CURVE_SEED = 600_000, 700_000
"""Every run, whatever its seed, is judged on the same tasks."""

Figures = dict[str, dict[str, float]]
"""What was measured -> its mean over tasks, interval and median."""
TasksOf = Callable[[int, TaskBatch], Iterable[Task]]


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
        groups += [{"params": own, "lr": 1.0}] if own else []  # moments, whatever becomes of theta
        return MetaLearner(network, rule, torch.optim.SGD(groups))
    return MetaLearner(network, rule, torch.optim.Adam([*network_parameters, *own], lr=outer_rate))


def after_steps(learner: MetaLearner, task: Task, counts: Sequence[int]) -> dict[int, Params]:
    """The network's parameters after each of these numbers of inner steps on a task or a stack."""
    params = parameters_of(learner.network)
    if task.stack is not None:
        params = {name: p.detach().expand(task.stack, *p.shape) for name, p in params.items()}
    rule = learner.rule
    path = descend(task.at, params, params, rule.inner, max(counts), adapts=rule.adapts)
    states = [*(step.state for step in path.steps), path.end]
    return {count: {name: states[count][name].detach() for name in params} for count in counts}


def summary(values: Tensor) -> dict[str, float]:
    """Mean over tasks with half the width of its 95% interval, and the median.

    Tasks that diverged count as infinite, and so the mean and its interval then are.
    """
    values = values.double().nan_to_num(nan=float("inf"), posinf=float("inf"))
    half = (1.96 * values.std() / len(values) ** 0.5).nan_to_num(nan=float("inf"))
    figures = {"mean": values.mean(), "interval": half, "median": values.median()}
    diverged = int(values.isinf().sum())
    return {name: float(value) for name, value in figures.items()} | {
        "tasks": len(values),
        "diverged": diverged,
    }


@dataclass
class Progress:
    """How far a run has come: outer steps, processor seconds they took, and its curve so far.

    Processor time, which does not pass while other programs have the machine: a run is as long on a
    busy one as on an idle one.
    """

    iterations: int = 0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)


def options_parser(doc: str | None, learners: Sequence[str] = LEARNERS) -> argparse.ArgumentParser:
    """The options that all runs have."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--learner", choices=learners, required=True)
    parser.add_argument("--out", type=Path, required=True, help="directory of the run's files")
    parser.add_argument("--iterations", type=int, help="outer steps; default: the paper's")
    parser.add_argument("--minutes", type=float, help="processor minutes to train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test-tasks", type=int, default=600)
    parser.add_argument("--judge-every", type=int, default=1000, help="iterations; saves as well")
    return parser


@dataclass
class Run:
    """A learner, what it learns from and what it is watched by.

    Attributes:
        name: of the run's files.
        experiment: what it is compared with others in.
        settings: what must be the same for a run to go on; kept with the result.
        tasks: step and batch -> tasks.
        judge: the learner on a few held-out tasks, for the curve.
        decays: the outer rate falls linearly to 0 over the iterations, or the minutes if they end
            first.
        trained_as: name of the checkpoint, where runs that are judged differently train alike.
    """

    name: str
    experiment: str
    settings: dict[str, Any]
    learner: MetaLearner
    source: TaskSource
    tasks: TasksOf
    judge: Callable[[], Figures]
    decays: bool = False
    trained_as: str | None = None

    def train(self, options: argparse.Namespace) -> Progress:
        """Train, or go on, until the iterations are done or the minutes are over."""
        keep_freed_memory()
        checkpoint = options.out / f"{self.trained_as or self.name}.safetensors"
        progress = self._restore(checkpoint) if checkpoint.exists() else Progress()
        optimiser, last = self.learner.optimiser, options.iterations
        allowed = 60 * options.minutes if options.minutes else float("inf")
        first_rate = optimiser.param_groups[0]["lr"]
        before = time.process_time()
        steps = range(progress.iterations, last)
        with closing(prefetched(self.source, steps)) as batches:  # type: ignore[type-var]
            for batch in batches if progress.seconds < allowed else ():
                if self.decays:
                    done = max(progress.iterations / last, progress.seconds / allowed)
                    optimiser.param_groups[0]["lr"] = first_rate * (1 - done)
                losses = self.learner.step(self.tasks(progress.iterations, batch))
                progress.iterations += 1
                now = time.process_time()
                progress.seconds += now - before
                over = progress.iterations == last or progress.seconds >= allowed
                if over or progress.iterations % options.judge_every == 0:
                    self._note(progress, losses)
                    self._save(checkpoint, progress)
                    self.write(options, progress, None)
                    now = time.process_time()
                before = now
                if over:
                    break
        return progress

    def headline(self, progress: Progress) -> str:
        """The run and how far it came."""
        return f"{self.name}, {progress.iterations} iterations, {progress.seconds / 60:.1f} min"

    def write(
        self, options: argparse.Namespace, progress: Progress, result: Figures | None
    ) -> None:
        """The run's JSON file, whole or not at all."""
        record = {
            "name": self.name,
            "experiment": self.experiment,
            "settings": self.settings,
            "planned_iterations": options.iterations,
            "planned_minutes": options.minutes,
            **asdict(progress),
            "result": result,
            "command": " ".join(["python", *sys.argv]),
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads of "
            f"{os.cpu_count()} cores, torch {torch.__version__}",
        }
        atomic.write_text(options.out / f"{self.name}.json", json.dumps(record, indent=1))

    def _note(self, progress: Progress, losses: dict[str, float]) -> None:
        figures = self.judge()
        progress.curve.append(
            {
                "experiment": self.experiment,
                "iteration": progress.iterations,
                "seconds": progress.seconds,
                "training": losses,
                "held_out": figures,
            }
        )
        shown = ", ".join(f"{key} {value['mean']:.4g}" for key, value in figures.items())
        print(
            f"{self.name} {progress.iterations} iterations, {progress.seconds / 60:.1f} min: "
            f"{shown}",
            flush=True,
        )

    def _save(self, path: Path, progress: Progress) -> None:
        state = self.learner.optimiser.state
        tensors: dict[str, Tensor] = {}
        for name, p in self.learner.parameters.items():
            kept = {"value": p, **state.get(p, {})}
            tensors |= {
                f"{key}/{name}": value.detach().contiguous()
                for key, value in kept.items()
                if isinstance(value, Tensor)
            }
        said = json.dumps({"settings": self.settings, "progress": asdict(progress)})
        write_tensors(path, tensors, {"run": said})

    def _restore(self, path: Path) -> Progress:
        with safe_open(path, framework="pt") as file:
            said = json.loads(file.metadata()["run"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if said["settings"] != json.loads(json.dumps(self.settings)):
            raise TrainingError(f"{path} is of a run with other settings: choose another --out.")
        params = self.learner.parameters
        for name, value in tensors.items():
            key, _, parameter = name.partition("/")
            if key == "value":
                with torch.no_grad():
                    params[parameter].copy_(value)
            else:
                self.learner.optimiser.state[params[parameter]][key] = value
        return Progress(**said["progress"])
