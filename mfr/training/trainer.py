"""A run from its configuration to a model file: start or resume, step, watch, save."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from mfr.backbones import backbone_spec, build_backbone
from mfr.benchmark.calibration import calibrate_encoder
from mfr.config import RunConfig, read_run_config, write_run_config
from mfr.data.loading import CropStore, StepLoader
from mfr.data.manifest import Manifest
from mfr.data.random_bits import RandomBits
from mfr.data.sampling import IdentityPool
from mfr.devices import usable_device
from mfr.encoder import Encoder
from mfr.errors import DataError, TrainingError
from mfr.locking import refusing_others
from mfr.meta.functional import Task
from mfr.meta.learner import MetaLearner
from mfr.meta.rule import PlainGradient
from mfr.training import checkpoint
from mfr.training.classifier import imprinted_rows, random_rows
from mfr.training.distributed import ALONE, Processes
from mfr.training.interruption import deferred_interrupt
from mfr.training.methods import FaceNetwork, Method, build_method
from mfr.training.run_log import RunLog
from mfr.training.validation import Validator

CONFIG_NAME: Final = "config.toml"
MODEL_NAME: Final = "model.safetensors"
CHECKPOINTS_NAME: Final = "checkpoints"
# Keeps the network's own randomness (dropout) apart from what the samplers draw.
_NETWORK_STREAM: Final = 200


@dataclass(frozen=True)
class Progress:
    """What a run tells whoever watches it.

    Attributes:
        step: steps done.
        steps: steps the run will do.
        kind: 'train' after every step, 'validation' after a look at held-out people.
        values: figures by name.
    """

    step: int
    steps: int
    kind: str
    values: dict[str, float]


@dataclass(frozen=True)
class TrainingResult:
    """What a run made.

    Attributes:
        out: the run's directory.
        model: the model file, or None if the run was interrupted before its end.
        step: steps done.
        steps: steps the run was to do.
        left_out: single-image identities by source domain, which no pair can be made of.
        validation: the last look at held-out people, in the process that wrote the model.
        uncalibrated: why the model has no calibration, if it has none.
    """

    out: Path
    model: Path | None
    step: int
    steps: int
    left_out: dict[str, int]
    validation: dict[str, float]
    uncalibrated: str | None = None


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

    Ctrl-C ends the step at hand, saves and returns a result without a model.

    Args:
        config: what to train.
        out: the run's directory; processes on several machines need a disk they share.
        watch: told of the progress, in the main process.
        group: the processes that train together (`mfr.training.distributed.processes`), each of
            which calls this. The main one alone writes, validates and calibrates.

    Raises:
        TrainingError: ``out`` holds a run already, a loss became NaN or infinite, or there are more
            processes than a step has tasks.
        ProcessFailedError, ProcessLostError: another process failed or died.
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
    out: str | Path, *, watch: Callable[[Progress], None] = _ignore, group: Processes = ALONE
) -> TrainingResult:
    """Continue the run in ``out`` from its last checkpoint, to the bit as if never stopped.

    With another number of processes than before it goes on equally well, but to the bit only with
    as many. The arguments are those of `start`.

    Raises:
        TrainingError: there is no run, its checkpoint is damaged, or as `start`.
        DataError, ModelError, WriteError: as `start`.
    """
    out = Path(out)
    if not (out / CONFIG_NAME).is_file():
        raise TrainingError(f"There is no run in {out} to resume: start one without --resume.")
    with _training_alone(out) if group.is_main else nullcontext():
        run = _Run(read_run_config(out / CONFIG_NAME), out, group)
        last = checkpoint.latest(out / CHECKPOINTS_NAME)
        if last is not None:
            run.restore(checkpoint.read(last))
        return run.go(watch)


def _training_alone(out: Path) -> AbstractContextManager[None]:
    return refusing_others(out / ".lock", "'mfr train'", TrainingError)


class _Run:
    """The parts of a run, joined: data, network, method, optimiser."""

    def __init__(self, config: RunConfig, out: Path, group: Processes) -> None:
        self.config, self.out, self.done, self.group = config, out, 0, group
        self.device = usable_device(group.device(config.device))
        self.manifest = Manifest.read(config.data).where(domains=config.sources)
        self.people = _training_people(self.manifest, config)
        held_out = self.manifest.where(splits=["val"], cropped=True)
        self.validator = Validator(held_out) if group.is_main else None
        self.pool = IdentityPool(self.people, config.sources)
        store = CropStore(self.people, int(config.crop_memory * 2**30))
        self.method: Method = build_method(config, self.pool, store, group)
        network, self.backbone, self.arguments = _initial_network(config)
        self.network = network.to(self.device)
        self._add_classifier(store)
        self.optimiser = torch.optim.SGD(
            [p for p in self.network.parameters() if p.requires_grad],
            lr=config.beta,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )

    def _add_classifier(self, store: CropStore) -> None:
        config, pool = self.config, self.pool
        if config.method == "agg":
            rows = imprinted_rows(self.network, store, pool.rows, pool.labels)
        elif config.method == "agg-rnd":
            rows = random_rows(pool.classes, self._feature_size(), config.seed)
        else:
            return
        self.network.classifier = nn.Parameter(rows.to(self.device))

    def _feature_size(self) -> int:
        spec = backbone_spec(self.backbone)
        return int(self.arguments.get("embedding_size", spec.embedding_size))

    def restore(self, state: checkpoint.Checkpoint) -> None:
        checkpoint.restore(state, self.network, self.optimiser)
        self.done = state.step

    def go(self, watch: Callable[[Progress], None]) -> TrainingResult:
        config, group = self.config, self.group
        self._begin_equal()
        reduce = None if group.size == 1 else group.reduce
        learner = MetaLearner(self.network, PlainGradient(), self.optimiser, reduce=reduce)
        loader = StepLoader(self.method.prepare, config.workers)
        validation: dict[str, float] = {}
        with (
            RunLog(self.out, self.done) if group.is_main else nullcontext() as log,
            deferred_interrupt() as interruption,
            # Fixed algorithms cost a GPU a few percent and buy the same bytes from the same seed.
            torch.backends.cudnn.flags(deterministic=True, benchmark=False),
        ):

            def tell(kind: str, values: dict[str, float]) -> None:
                if log is not None:
                    log.write(self.done, kind, values)
                    watch(Progress(self.done, config.steps, kind, values))

            def save() -> None:
                if not group.is_main:
                    return
                state = checkpoint.capture(self.done, self.network, self.optimiser)
                self._refuse_broken(state)
                checkpoint.write(self.out / CHECKPOINTS_NAME, state)

            if self.done == 0:
                validation = self._validate(tell)
                save()
            mark = time.perf_counter()
            for data in loader.steps(self.done, config.steps):
                loaded = time.perf_counter()
                decays = self.done // config.halve_every
                learner.rule = self.method.rule(decays)
                beta = config.beta * 0.5**decays
                for options in self.optimiser.param_groups:
                    options["lr"] = beta
                self.network.train()
                tasks = self.method.tasks(self.network, data, decays)
                try:
                    values = learner.step(self._seeded(tasks))
                except TrainingError as error:
                    raise self._stopped(f"in step {self.done + 1} {error}") from error
                # Each step, so that running statistics too are a function of the step alone.
                group.average(self.network.buffers())
                self.done += 1
                now = time.perf_counter()
                values |= {
                    "beta": beta,
                    "seconds": now - mark,
                    "seconds_waiting_for_data": loaded - mark,
                    "images_per_second": self.method.images_per_step / (now - mark),
                }
                tell("train", values)
                last = self.done == config.steps
                asked = group.any(interruption.asked)
                if self.done % config.validate_every == 0 or last:
                    validation = self._validate(tell)
                if self.done % config.checkpoint_every == 0 or last or asked:
                    save()
                if asked:
                    break
                mark = time.perf_counter()
        if self.done < config.steps:
            return TrainingResult(
                self.out, None, self.done, config.steps, self.pool.left_out, validation
            )
        model, uncalibrated = (
            self._write_model() if group.is_main else (self.out / MODEL_NAME, None)
        )
        return TrainingResult(
            self.out, model, self.done, config.steps, self.pool.left_out, validation, uncalibrated
        )

    def _begin_equal(self) -> None:
        """The same weights in all processes, and the same step."""
        done = torch.tensor(self.done, device=self.device)
        self.group.share(self.network.state_dict().values(), [done])
        if self.done != done:
            raise TrainingError(
                f"Process {self.group.rank} finds step {self.done} in {self.out} where process 0 "
                f"finds step {int(done)}: let all machines see the same directory."
            )

    def _seeded(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """The tasks, each with its own random numbers (dropout), whichever process it falls to."""
        for number, task in zip(count(self.group.rank, self.group.size), tasks, strict=False):
            bits = RandomBits(self.config.seed, self.done, number, _NETWORK_STREAM)
            torch.manual_seed(bits.seed())
            yield task

    def _encoder(self, **summary: Any) -> Encoder:
        return Encoder.from_network(
            self.network.backbone,
            self.backbone,
            arguments=self.arguments,
            device=self.device,
            **summary,
        )

    def _validate(self, tell: Callable[[str, dict[str, float]], None]) -> dict[str, float]:
        if self.validator is None:
            return {}
        values = dict(self.validator(self._encoder()))
        if values:
            tell("validation", values)
        return values

    def _write_model(self) -> tuple[Path, str | None]:
        config = self.config
        encoder = self._encoder(
            recipe=config.model_dump(mode="json", exclude={"data", "init", "device", "workers"})
            | {"init": config.init.name if config.init else None},
            data={
                "sources": config.sources,
                "identities": self.pool.classes,
                "images": len(self.pool.rows),
                "left_out": self.pool.left_out,
                "split": self.people.notes.get("split"),
            },
        )
        uncalibrated = None
        try:
            calibration = calibrate_encoder(
                encoder, self.manifest, domains=config.sources, seed=config.seed
            )
            encoder = encoder.with_calibration(calibration)
        except DataError as error:
            uncalibrated = str(error)
        path = self.out / MODEL_NAME
        encoder.save(path)
        return path, uncalibrated

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


def _training_people(manifest: Manifest, config: RunConfig) -> Manifest:
    if not any(manifest.column("split")):
        raise DataError(f"{config.data} is not split yet: run 'mfr data split {config.data}'.")
    people = manifest.where(splits=["train"], cropped=True)
    for domain in config.sources:
        if domain not in people.domains:
            raise DataError(
                f"The domain '{domain}' has no aligned training images: run "
                f"'mfr data align {config.data}', or split again."
            )
    return people


def _initial_network(config: RunConfig) -> tuple[FaceNetwork, str, dict[str, Any]]:
    """The network to start from, its backbone's name and the backbone's arguments."""
    torch.manual_seed(RandomBits(config.seed, 0, 0, _NETWORK_STREAM).seed())
    if config.init is None:
        name = config.backbone or "mfr-resnet28"
        network, arguments, geometry = build_backbone(name), {}, backbone_spec(name).geometry
    else:
        encoder = Encoder.load(config.init, backbone=config.backbone)
        record = encoder.record
        network, name, arguments = encoder.network, record.backbone, record.arguments
        geometry = record.geometry
    face_network = FaceNetwork(network.requires_grad_(True), geometry)
    return face_network, name, arguments
