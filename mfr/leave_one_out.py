"""Every domain in turn the target, each method on equal images, several seeds.

A run is an ordinary one of `mfr.training.trainer`, in a directory of its own. One that was
interrupted is continued, and one that is done is not repeated; so the whole can be stopped at any
time and started again with the same command.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mfr.benchmark.measurement import Measurement
from mfr.benchmark.protocols import judge_domain
from mfr.benchmark.report import Counts, describe_environment
from mfr.benchmark.targets import (
    LeaveOneOut,
    Target,
    judge_target,
    over_targets,
    targets_verdict,
)
from mfr.config import RunConfig, make_run_config, read_run_config
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.data.sampling import IdentityPool
from mfr.data.simulated import with_simulated
from mfr.encoder import Encoder
from mfr.errors import ConfigError, TrainingError
from mfr.models import load_encoder
from mfr.presets import with_preset
from mfr.training import trainer
from mfr.training.methods.building import build_method
from mfr.training.starting import training_people

START = "start"
"""What the weights that all runs began from are called."""


class InterruptedRunError(TrainingError):
    """A run was stopped by Ctrl-C, and saved."""


def leave_one_out(
    values: Mapping[str, Any],
    *,
    domains: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    images: int | None = None,
    preset: str | None = None,
    resamples: int = 1000,
    allow_seen: bool = False,
    command: str = "",
    on_run: Callable[[str, int, int], None] = lambda name, done, total: None,
    watch: Callable[[trainer.Progress], None] = lambda progress: None,
) -> LeaveOneOut:
    """Train every method on all domains but one, for each of them, and judge it on that one.

    Args:
        values: of the runs, as in a run file: ``data``, and whatever is not a preset's.
        domains: at least three, so that two are sources.
        methods: the others are compared with the first.
        seeds: of the runs; they share the people and the comparisons they are judged on.
        out: a run is in ``out/TARGET/METHOD-SEED``.
        images: how many each run sees at least; if not given, as many as the first method sees in
            the steps that ``values`` or the preset say.
        preset: as `mfr.presets.with_preset`.
        resamples: of the bootstrap over people.
        allow_seen: judge also on people whom a run, or the weights it began from, has seen.
        command: what the user ran, for the report.
        on_run: called with a run's name before it starts, the runs done and their number.
        watch: called with the progress of a run.

    Raises:
        ConfigError: fewer than three domains, nothing to compare, or a value that cannot be used.
        InterruptedRunError: a run was stopped by Ctrl-C; the same call continues.
        DataError, ModelError, TrainingError, WriteError: as training and judging.
    """
    if len(set(domains)) < 3:
        raise ConfigError("Leaving one out needs three domains or more: two are left to train on.")
    if not methods or not seeds or len(set(methods)) < len(methods):
        raise ConfigError("Name the methods, each once, and at least one seed.")
    manifest = Manifest.read(values["data"])
    manifest.where(domains=domains)
    total, done = len(domains) * len(methods) * len(seeds), 0
    targets: dict[str, Target] = {}
    steps: dict[str, dict[str, int]] = {}
    seen_images = 0
    for target in domains:
        sources = [domain for domain in domains if domain != target]
        configs = {
            (method, seed): make_run_config(
                with_preset(
                    preset,
                    {
                        **values,
                        "sources": sources,
                        "method": method,
                        "seed": seed,
                        # Each method is judged as it is, also where its start was better.
                        "accept_worse": True,
                    },
                )
            )
            for method in methods
            for seed in seeds
        }
        first = configs[methods[0], seeds[0]]
        per_step = {method: images_per_step(configs[method, seeds[0]]) for method in methods}
        wanted = first.steps * per_step[methods[0]] if images is None else images
        seen_images = wanted if not seen_images else min(seen_images, wanted)
        steps[target] = {method: math.ceil(wanted / per_step[method]) for method in methods}
        models: dict[str, list[Path]] = {method: [] for method in methods}
        for (method, seed), config in configs.items():
            name = f"{target}/{method.rpartition(':')[2]}-{seed}"
            on_run(name, done, total)
            models[method].append(
                run(config.model_copy(update={"steps": steps[target][method]}), out / name, watch)
            )
            done += 1
        judged = {
            method: [Encoder.load(path, backbone=first.backbone) for path in paths]
            for method, paths in models.items()
        }
        if first.init is not None:
            judged[START] = [load_encoder(first.init, backbone=first.backbone)]
        measured, counts = _judge(
            judged, manifest, target, resamples=resamples, allow_seen=allow_seen
        )
        targets[target] = judge_target(measured, counts, sources)
    on_run("", done, total)
    return LeaveOneOut(
        title=f"{', '.join(methods[1:]) or methods[0]}"
        f"{f' against {methods[0]}' if methods[1:] else ''}, each of {', '.join(domains)} left out",
        verdict=targets_verdict(list(next(iter(targets.values())).methods), targets),
        methods=list(methods),
        seeds=list(seeds),
        images=seen_images,
        steps=steps,
        targets=targets,
        overall=over_targets(targets),
        command=command,
        resamples=resamples,
        environment=describe_environment(values.get("device", "cpu")),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def run(config: RunConfig, out: Path, watch: Callable[[trainer.Progress], None]) -> Path:
    """Start, continue or find the run in ``out``; returns its model file.

    Raises:
        InterruptedRunError: it was stopped by Ctrl-C.
        TrainingError: ``out`` holds a run of another configuration, or as training.
    """
    model = out / trainer.MODEL_NAME
    if (out / trainer.CONFIG_NAME).is_file():
        if read_run_config(out / trainer.CONFIG_NAME) != config:
            raise TrainingError(
                f"{out} holds a run of another configuration: choose another --out, or remove it."
            )
        if model.is_file():
            return model
        result = trainer.resume(out, watch=watch)
    else:
        result = trainer.start(config, out, watch=watch)
    if result.model is None:
        raise InterruptedRunError(
            f"Stopped after step {result.step} of {result.steps} of {out} and saved: the same "
            "command continues."
        )
    return result.model


def images_per_step(config: RunConfig) -> int:
    """How many images a step of this run sees.

    Raises:
        ConfigError, DataError: as training.
    """
    people = training_people(Manifest.read(config.data).where(domains=config.sources), config)
    drawn = with_simulated(people, config.simulate)
    pool = IdentityPool(drawn.manifest, [*config.sources, *drawn.domains])
    return build_method(config, pool, CropStore(people, 0)).images_per_step


def _judge(
    encoders: Mapping[str, Sequence[Encoder]],
    manifest: Manifest,
    target: str,
    *,
    resamples: int,
    allow_seen: bool,
) -> tuple[dict[str, list[Measurement]], Counts]:
    measured: dict[str, list[Measurement]] = {}
    for method, each in encoders.items():
        for encoder in each:
            judged = judge_domain(
                encoder, manifest, target, resamples=resamples, allow_seen=allow_seen
            )
            measured.setdefault(method, []).append(judged.measured)
    return measured, judged.report.counts
