"""A run, from its configuration to a model file: start or resume, step, validate, save."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import torch

from mfr.config import RunConfig, read_run_config, write_run_config
from mfr.data.manifest import Manifest
from mfr.data.sampling import IdentityPool
from mfr.data.simulated import SimulatedCrops, with_simulated
from mfr.data.step_loader import StepLoader
from mfr.devices import usable_device
from mfr.errors import TrainingError
from mfr.locking import refusing_others
from mfr.random_bits import RandomBits
from mfr.seen_people import Role
from mfr.training import checkpoint, finishing
from mfr.training.distributed import ALONE, Processes
from mfr.training.finishing import MODEL_NAME, REFUSED_NAME
from mfr.training.guard import Known
from mfr.training.interruption import deferred_interrupt
from mfr.training.judge import Judge
from mfr.training.methods.building import build_method
from mfr.training.noting import note_in_dataset, summary
from mfr.training.optimiser import make_optimiser
from mfr.training.run_log import RunLog
from mfr.training.starting import initial_network, training_people
from mfr.training.stepping import NETWORK_STREAM, Stepper
from mfr.training.validation import Validator

CONFIG_NAME: Final = "config.toml"
CHECKPOINTS_NAME: Final = "checkpoints"


@dataclass(frozen=True)
class Progress:
    """What a run reports as it goes.

    Attributes:
        step: how many steps are done.
        steps: how many the run will take.
        kind: 'train' after every step, 'validation' after each validation on held-out people.
        values: figures by name.
        worst: of a validation, the domain that has become worst beside the start, if it has one.
    """

    step: int
    steps: int
    kind: str
    values: dict[str, float]
    worst: Known | None = None


@dataclass(frozen=True)
class TrainingResult:
    """What a run made.

    Attributes:
        out: the run's directory.
        model: the model file, or None if the run was interrupted before it, or it was refused.
        step: how many steps are done.
        steps: how many the run was to take.
        left_out: identities with a single image, of which no pair can be made, by source domain.
        validation: the figures of the last validation, in the process that wrote the model.
        uncalibrated: why the model has no calibration, if it has none.
        unnoted: why the dataset does not know that its people were used, if it does not.
        share: how far the model lies from the start to the end of training, 0 to 1.
        known: the model beside its start on held-out people of each source domain, simulated ones
            included; empty in processes other than the main one, and where a run starts from random
            weights.
        refused: the file of a result that is worse than its start on one of these, in place of a
            model.
    """

    out: Path
    model: Path | None
    step: int
    steps: int
    left_out: dict[str, int]
    validation: dict[str, float]
    uncalibrated: str | None = None
    unnoted: str | None = None
    share: float = 1.0
    known: list[Known] = field(default_factory=list)
    refused: Path | None = None


class _Tell(Protocol):
    """Writes a record into the log and tells who watches the run."""

    def __call__(self, kind: str, values: dict[str, float], worst: Known | None = None) -> None: ...


def _ignore(progress: Progress) -> None:
    pass


def start(
    config: RunConfig,
    out: str | Path,
    *,
    watch: Callable[[Progress], None] = _ignore,
    group: Processes = ALONE,
) -> TrainingResult:
    """Train from the beginning, into the directory ``out``.

    On Ctrl-C the current step is finished, the state is saved, and the result has no model, also
    where it was the last step. A second Ctrl-C, and one in what follows the last step, raises
    KeyboardInterrupt; `resume` goes on from the last checkpoint.

    Args:
        config: what to train.
        out: the run's directory; processes on several machines need a disk they share.
        watch: called with the progress, in the main process.
        group: the processes that train together (`mfr.training.distributed.processes`), each of
            which calls this. The main one alone writes, validates and calibrates.

    Raises:
        TrainingError: ``out`` holds a run already, a loss became NaN or infinite, or there are more
            processes than a step has tasks.
        ProcessFailedError, ProcessLostError: another process failed or died.
        ConfigError: what the configuration names outside MFR cannot be found or used.
        DataError, ModelError, WriteError: the data, the weights or the disk do not allow it.
    """
    out = Path(out)
    if group.is_main and (out / CONFIG_NAME).exists():
        raise TrainingError(
            f"{out} holds a run already: continue it with 'mfr train --resume --out {out}', or "
            "choose another --out."
        )
    run = _Run(config, out, group)
    with _training_alone(out) if group.is_main else nullcontext():
        if group.is_main:
            write_run_config(out / CONFIG_NAME, config)
        return run.go(watch)


def resume(
    out: str | Path,
    *,
    accept_worse: bool = False,
    watch: Callable[[Progress], None] = _ignore,
    group: Processes = ALONE,
) -> TrainingResult:
    """Continue the run in ``out`` from its last checkpoint, to the bit as if never interrupted.

    It can be continued by another number of processes than before, though to the bit only by as
    many. Of a run that has taken all its steps, the last part is repeated: what becomes the model.

    Args:
        accept_worse: from now on the run takes a result that is worse than its start; one that was
            refused becomes the model.
        out, watch, group: as of `start`.

    Raises:
        TrainingError: there is no run, its checkpoint is damaged, or as for `start`.
        ConfigError, DataError, ModelError, WriteError: as for `start`.
    """
    out = Path(out)
    if not (out / CONFIG_NAME).is_file():
        raise TrainingError(f"There is no run in {out} to resume: start one without --resume.")
    with _training_alone(out) if group.is_main else nullcontext():
        config = read_run_config(out / CONFIG_NAME)
        if accept_worse and not config.accept_worse:
            config = config.model_copy(update={"accept_worse": True})
            if group.is_main:
                write_run_config(out / CONFIG_NAME, config)
        run = _Run(config, out, group)
        last = checkpoint.latest(out / CHECKPOINTS_NAME)
        if last is not None:
            run.restore(checkpoint.read(last))
        return run.go(watch)


def _training_alone(out: Path) -> AbstractContextManager[None]:
    return refusing_others(out / ".lock", "'mfr train'", TrainingError)


class _Run:
    """The parts of a run: data, network, method, optimiser."""

    def __init__(self, config: RunConfig, out: Path, group: Processes) -> None:
        self.config, self.out, self.done, self.group = config, out, 0, group
        self.device = usable_device(group.device(config.device))
        self.manifest = Manifest.read(config.data).where(domains=config.sources)
        self.people = training_people(self.manifest, config)
        self.held_out = self.manifest.where(splits=["val"], cropped=True)
        # The first rows are those of `people`; whom the run uses is not changed by what it draws.
        drawn = with_simulated(self.people, config.simulate)
        drawn.refuse_empty()
        validator = (
            Validator(self.held_out, config.seed, config.simulate) if group.is_main else None
        )
        self.pool = IdentityPool(drawn.manifest, [*config.sources, *drawn.domains])
        store = SimulatedCrops(drawn, int(config.crop_memory * 2**30))
        self.method = build_method(config, self.pool, store, group)
        self.built = initial_network(config, RandomBits(config.seed, 0, 0, NETWORK_STREAM).seed())
        self.judge = Judge(validator, self.built, config.seed) if validator else None
        self.network = self.built.network.to(self.device)
        self.method.attach(self.network)
        self.optimiser = make_optimiser(config, self.network)
        self.stepper = Stepper(config, self.method, self.network, self.optimiser, group=group)
        self.average = self.stepper.average

    def restore(self, state: checkpoint.Checkpoint) -> None:
        checkpoint.restore(state, self.network, self.optimiser, self.method, self.average)
        self.done = state.step

    def go(self, watch: Callable[[Progress], None]) -> TrainingResult:
        config, group = self.config, self.group
        unnoted = note_in_dataset(config.data, self._used()) if group.is_main else None
        # Their processes start before the first exchange, which starts threads.
        steps = StepLoader(self.method.prepare, config.workers).steps(self.done, config.steps)
        self._begin_equal()
        with RunLog(self.out, self.done) if group.is_main else nullcontext() as log:

            def tell(kind: str, values: dict[str, float], worst: Known | None = None) -> None:
                if log is not None:
                    log.write(self.done, kind, values)
                    watch(Progress(self.done, config.steps, kind, values, worst))

            with (
                deferred_interrupt() as interruption,
                # Deterministic algorithms cost a GPU a few per cent, and give the same bytes for
                # the same seed.
                torch.backends.cudnn.flags(deterministic=True, benchmark=False),
            ):
                validation = self._steps(steps, tell, lambda: interruption.asked)
            ended: dict[str, Any] = {}
            # Also asked for in the last step, its validation or its checkpoint, a stop is a stop.
            if not group.any(interruption.asked) and self.done == config.steps:
                ended = self._finish(tell) if group.is_main else {"model": self.out / MODEL_NAME}
        return TrainingResult(
            self.out,
            ended.pop("model", None),
            self.done,
            config.steps,
            self.pool.left_out,
            validation,
            unnoted=unnoted,
            **ended,
        )

    def _steps(
        self,
        steps: Iterable[Any],
        tell: _Tell,
        interrupted: Callable[[], bool],
    ) -> dict[str, float]:
        """Take the steps whose data is ``steps``; returns the figures of the last validation."""
        config = self.config
        validation: dict[str, float] = {}
        if self.done == 0:
            validation = self._validate(tell)
            self._save()
        mark = time.perf_counter()
        for data in steps:
            loaded = time.perf_counter()
            try:
                values = self.stepper.take(self.done, data)
            except TrainingError as error:
                raise self._stopped(f"in step {self.done + 1} {error}") from error
            self.done += 1
            now = time.perf_counter()
            values |= {
                "seconds": now - mark,
                "seconds_waiting_for_data": loaded - mark,
                "images_per_second": self.method.images_per_step / (now - mark),
            }
            tell("train", values)
            last = self.done == config.steps
            asked = self.group.any(interrupted())
            if self.done % config.validate_every == 0 or last:
                validation = self._validate(tell)
            if self.done % config.checkpoint_every == 0 or last or asked:
                self._save()
            if asked:
                break
            mark = time.perf_counter()
        return validation

    def _save(self) -> None:
        """Write a checkpoint, in the main process."""
        if not self.group.is_main:
            return
        state = checkpoint.capture(
            self.done, self.network, self.optimiser, self.method, self.average
        )
        self._refuse_broken(state)
        checkpoint.write(self.out / CHECKPOINTS_NAME, state)

    def _finish(self, tell: _Tell) -> dict[str, Any]:
        """Choose the point, calibrate and write it: the result's fields about the model."""
        config = self.config
        backbone = self.network.backbone
        end = self.average.weights if self.average.count else backbone.state_dict()
        assert self.judge is not None
        told = summary(config, self.people, self.pool)
        point = finishing.best_point(self.judge, end, config, told)
        tell(
            "result",
            {"share": point.share}
            | {f"{one.domain}/fnmr_of_start": one.start for one in point.known}
            | {f"{one.domain}/fnmr": one.end for one in point.known},
        )
        refused = bool(point.worse) and not config.accept_worse
        path = self.out / (REFUSED_NAME if refused else MODEL_NAME)
        encoder = finishing.with_seen_people(point.encoder, self.built, self._used())
        _, uncalibrated = finishing.write_model(encoder, self.manifest, config, path)
        if not refused:
            (self.out / REFUSED_NAME).unlink(missing_ok=True)  # what was refused is accepted now
        return {
            "model": None if refused else path,
            "refused": path if refused else None,
            "uncalibrated": uncalibrated,
            "share": point.share,
            "known": list(point.known),
        }

    def _used(self) -> dict[Role, list[str]]:
        """The people whom this run uses, single images included, by what it uses them for."""
        return {
            "trained": self.people.column("person"),
            "validated": self.held_out.column("person"),
        }

    def _begin_equal(self) -> None:
        """Give all processes the same weights, and make sure that they are at the same step."""
        done = torch.tensor(self.done, device=self.device)
        self.group.broadcast(
            self.network.state_dict().values(), self.method.state_dict().values(), [done]
        )
        if self.done != done:
            raise TrainingError(
                f"Process {self.group.rank} finds step {self.done} in {self.out} where process 0 "
                f"finds step {int(done)}: let all machines see the same directory."
            )

    def _validate(self, tell: _Tell) -> dict[str, float]:
        if self.judge is None:
            return {}
        seen = self.judge.look(self.done)
        if seen.figures:
            tell("validation", seen.figures, seen.worst)
        return seen.figures

    def _refuse_broken(self, state: checkpoint.Checkpoint) -> None:
        for name, tensor in state.network.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise self._stopped(f"after step {state.step} {name} had become NaN or infinite")

    def _stopped(self, what: str) -> TrainingError:
        last = checkpoint.latest(self.out / CHECKPOINTS_NAME)
        return TrainingError(
            f"Training stopped: {what}; the last good checkpoint is {last or 'none'}: start again "
            "with a lower --beta (and --alpha)."
        )
