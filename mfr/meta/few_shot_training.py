"""A few-shot training run: the outer loop with its learning curve, checkpoints and record.

A run is two files in its directory: NAME.json, which holds its settings, learning curve and result,
and NAME.safetensors, which holds all it needs to go on. Tasks are functions of the seed and the
step, so the state of no random generator is kept, and a run that was interrupted gives the same
result as one that was not. Where tasks come from, and how a learner is judged, come in as
arguments.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from mfr import atomic
from mfr.errors import TrainingError
from mfr.meta.few_shot_evaluation import Figures, TasksOf
from mfr.meta.learner import MetaLearner
from mfr.meta.optimiser_state import named_state, restore_named_state
from mfr.meta.tasks.batch import TaskBatch, TaskSource, on_device
from mfr.meta.tasks.prefetch import prefetched
from mfr.tensor_file import SEAL, is_sealed, read_tensors, sealed, write_tensors

_VALUE = "value"
_ANEW = "delete it, and the run begins anew."


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        iterations: outer steps taken.
        seconds: processor time that they took. It does not pass while other programs have the
            machine, so a run of a given time is as long on a busy machine as on an idle one.
        curve: what was measured on the way.
    """

    iterations: int = 0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)


def _ignore(progress: Progress) -> None:
    pass


@dataclass(frozen=True)
class Plan:
    """How long to train, and how often to judge and save.

    Attributes:
        iterations: outer steps.
        minutes: processor time to train for, if that ends first.
        judge_every: iterations between points of the learning curve; each saves a checkpoint too.
        stop_after: minutes by the clock after which this call saves and returns, to be called again
            later. It has no part in the schedule of the outer rate.
    """

    iterations: int
    minutes: float | None = None
    judge_every: int = 1000
    stop_after: float | None = None


@dataclass
class FewShotRun:
    """A learner, what it learns from, and how it is judged.

    Attributes:
        directory: of the run's files.
        name: of the run's files.
        experiment: groups the runs that are compared with each other.
        settings: what must be unchanged for a run to go on; kept with the result.
        learner: on the device where it is to be trained.
        source: step -> batch of tasks.
        tasks: step and batch -> tasks.
        judge: measures the learner on a few held-out tasks, for the learning curve.
        decays: whether the outer rate falls linearly to 0 over the iterations, or over the minutes
            if they end first.
        trained_as: name of the checkpoint, for runs that train alike and are judged differently.
        command: how to start the run, for its record.
    """

    directory: Path
    name: str
    experiment: str
    settings: dict[str, Any]
    learner: MetaLearner
    source: TaskSource
    tasks: TasksOf
    judge: Callable[[], Figures]
    decays: bool = False
    trained_as: str | None = None
    command: str = ""

    def train(self, plan: Plan, watch: Callable[[Progress], None] = _ignore) -> Progress:
        """Train from the last checkpoint, or from the start, until the plan is fulfilled.

        Args:
            plan: how far, and how often to judge and save.
            watch: called with the progress after every new point of the learning curve, once it is
                saved.

        Returns:
            How far the run has come; `finished` tells whether that is all.

        Raises:
            TrainingError: the checkpoint is of a run with other settings, or training diverged.
            WriteError: the disk is full or the place not writable.
        """
        optimiser = self.learner.optimiser
        first_rate = optimiser.param_groups[0]["lr"]
        progress = self._restored() if self._checkpoint.exists() else Progress()
        allowed = 60 * plan.minutes if plan.minutes else float("inf")
        stop = time.monotonic() + 60 * plan.stop_after if plan.stop_after else float("inf")
        before = time.process_time()
        for batch in self._batches(progress, plan) if progress.seconds < allowed else ():
            if self.decays:
                done = max(progress.iterations / plan.iterations, progress.seconds / allowed)
                optimiser.param_groups[0]["lr"] = first_rate * (1 - done)
            losses = self.learner.step(self.tasks(progress.iterations, batch))
            progress.iterations += 1
            now = time.process_time()
            progress.seconds += now - before
            over = self.finished(progress, plan)
            stopped = time.monotonic() >= stop
            judged = over or progress.iterations % plan.judge_every == 0
            if judged:
                self._judge(progress, losses)
            if judged or stopped:
                self._save(progress)
                self.write(plan, progress, None)
            if judged:
                watch(progress)
            if judged or stopped:
                now = time.process_time()
            before = now
            if over or stopped:
                break
        return progress

    def finished(self, progress: Progress, plan: Plan) -> bool:
        """Whether nothing of the plan is left to train."""
        minutes = float("inf") if plan.minutes is None else plan.minutes
        return progress.iterations >= plan.iterations or progress.seconds >= 60 * minutes

    def headline(self, progress: Progress) -> str:
        """The run and how far it has come, in one line."""
        return f"{self.name}, {progress.iterations} iterations, {progress.seconds / 60:.1f} min"

    def write(self, plan: Plan, progress: Progress, result: Figures | None) -> None:
        """Write the run's record, NAME.json, whole or not at all; ``result`` once it is judged."""
        record = {
            "name": self.name,
            "experiment": self.experiment,
            "settings": self.settings,
            "planned_iterations": plan.iterations,
            "planned_minutes": plan.minutes,
            **asdict(progress),
            "result": result,
            "command": self.command,
            "machine": _machine(self.learner),
        }
        atomic.write_text(self.directory / f"{self.name}.json", json.dumps(record, indent=1))

    @property
    def _checkpoint(self) -> Path:
        return self.directory / f"{self.trained_as or self.name}.safetensors"

    def _batches(self, progress: Progress, plan: Plan) -> Iterable[TaskBatch]:
        device = next(self.learner.network.parameters()).device
        steps = range(progress.iterations, plan.iterations)
        with closing(prefetched(self.source, steps)) as batches:  # type: ignore[type-var]
            for batch in batches:
                yield on_device(batch, device)

    def _judge(self, progress: Progress, losses: dict[str, float]) -> None:
        progress.curve.append(
            {
                "experiment": self.experiment,
                "iteration": progress.iterations,
                "seconds": progress.seconds,
                "training": losses,
                "held_out": self.judge(),
            }
        )

    def _save(self, progress: Progress) -> None:
        parameters = self.learner.parameters
        state, plain = named_state(self.learner.optimiser, parameters)
        values = {f"{_VALUE}/{name}": p for name, p in parameters.items()} | state
        said = {"settings": self.settings, "progress": asdict(progress), "plain": plain}
        tensors = {name: value.detach().cpu().contiguous() for name, value in values.items()}
        write_tensors(self._checkpoint, tensors, sealed(tensors, {"run": json.dumps(said)}))

    def _restored(self) -> Progress:
        path = self._checkpoint
        try:
            metadata, tensors = read_tensors(path)
            said = json.loads(metadata["run"])
        except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
            raise TrainingError(f"{path} is truncated or damaged: {_ANEW}") from error
        if SEAL in metadata and not is_sealed(tensors, metadata):
            raise TrainingError(f"{path} was altered after it was written: {_ANEW}")
        if said["settings"] != json.loads(json.dumps(self.settings)):
            raise TrainingError(f"{path} is of a run with other settings: choose another --out.")
        parameters = self.learner.parameters
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(tensors.pop(f"{_VALUE}/{name}"))
        state = {**tensors, **said.get("plain", {})}
        restore_named_state(self.learner.optimiser, parameters, state)
        return Progress(**said["progress"])


def _machine(learner: MetaLearner) -> str:
    """What the run is computed on, in a few words."""
    device = next(learner.network.parameters()).device
    place = f"{torch.get_num_threads()} threads of {os.cpu_count()} cores"
    if device.type == "cuda":
        place = torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {place}, torch {torch.__version__}"
