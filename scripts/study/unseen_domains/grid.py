"""Run the study: every method's tries with one seed, then the chosen settings with the others.

A run that is done is not repeated, and several processes may share the work: each takes what nobody
else has taken. Stopped runs are taken again with --again.

    python -m scripts.study.unseen_domains.grid --data DATASET --init WEIGHTS --out RUNS
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfr import atomic
from mfr.allocator import keep_freed_memory
from mfr.benchmark.comparisons import compare_all
from mfr.data.manifest import Manifest
from mfr.training.averaging import between
from mfr.training.guard import worst_relative_fnmr
from mfr.training.validation import Judged
from scripts.study.unseen_domains.choosing import START, chosen, file_name, read_runs
from scripts.study.unseen_domains.judging import (
    DOMAINS,
    SOURCES,
    People,
    embed,
    figures,
    people_of,
    read_embeddings,
    without_flip,
)
from scripts.study.unseen_domains.learning import Tuned, Weights, tune
from scripts.study.unseen_domains.methods import (
    ABLATIONS,
    EARLIER,
    METHODS,
    PAPER,
    SEEDED,
    Settings,
    shared_values,
)

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Job:
    """A run to do.

    Attributes:
        method: its name in `methods`.
        attempt: the number of its setting.
        seed: of the run.
        values: of its `RunConfig`, beside the common ones.
    """

    method: str
    attempt: int
    seed: int
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of its files."""
        return file_name(self.method, self.attempt, self.seed)


def jobs(out: Path) -> Iterator[Job]:
    """All runs, in order of worth; which settings are chosen is read from the runs done so far."""
    yield from _tries(METHODS)
    yield from _chosen(out, SEEDED, SEEDS[1:2])
    for method, without in _alone():
        yield Job(method, 0, SEEDS[0], without)
    yield from _chosen(out, SEEDED, SEEDS[2:])
    yield from _chosen(out, [name for name in METHODS if name not in SEEDED], SEEDS[1:])
    for seed in SEEDS[1:]:
        for method, without in _alone():
            yield Job(method, 0, seed, without)
    yield from _tries(EARLIER)


def _tries(methods: Mapping[str, Settings]) -> Iterator[Job]:
    """Every setting of ``methods``, with the first seed."""
    for method, (values, tries) in methods.items():
        for attempt, more in enumerate(tries):
            yield Job(method, attempt, SEEDS[0], {**values, **more})


def _chosen(out: Path, methods: Sequence[str], seeds: Sequence[int]) -> Iterator[Job]:
    """The chosen settings of ``methods``, with further seeds."""
    for seed in seeds:
        for method in methods:
            values, tries = METHODS[method]
            for attempt in sorted({*chosen(read_runs(out), method).values()}):
                yield Job(method, attempt, seed, {**values, **tries[attempt]})


def _alone() -> Iterator[tuple[str, dict[str, Any]]]:
    """What has one setting."""
    yield from ABLATIONS.items()
    yield from ((method, values) for method, (values, _) in PAPER.items())


Judgement = tuple[dict[str, tuple[float, ...]], dict[str, Judged]]


def judge(
    weights: Weights,
    tuned: Tuned,
    judged: dict[str, People],
    held_out: dict[str, People],
    path: Path,
) -> Judgement:
    """FNMR on the people to judge on, and what the guard needs; embeddings are kept at ``path``."""
    kept = path.with_name(f"{path.name}.npz")
    if not kept.exists():
        encoder = without_flip(tuned.built.encoder(weights))
        embeddings = {f"test/{domain}": e for domain, e in embed(encoder, judged).items()}
        embeddings |= {f"val/{domain}": e for domain, e in embed(encoder, held_out).items()}
        with kept.open("wb") as file:
            np.savez(file, allow_pickle=False, **embeddings)
    found = read_embeddings(kept)
    return (
        {d: figures(found[f"test/{d}"], people.persons).fnmr for d, people in judged.items()},
        {
            d: Judged(compare_all(found[f"val/{d}"], people.persons), people.persons)
            for d, people in held_out.items()
        },
    )


def main() -> None:
    """Do what is left within the time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--init", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--again", action="store_true", help="take stopped runs too")
    options = parser.parse_args()
    keep_freed_memory()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.again:
        for claim in options.out.glob("*.claim"):
            claim.unlink()
    deadline = time.monotonic() + 60 * options.minutes
    manifest = Manifest.read(options.data)
    judged = {domain: people_of(manifest, domain, "test") for domain in DOMAINS}
    held_out = {domain: people_of(manifest, domain, "val") for domain in SOURCES}
    common = shared_values(options.data, SOURCES, options.init, options.steps, options.device)
    while time.monotonic() < deadline:
        job = next((job for job in jobs(options.out) if _claim(options.out / job.name)), None)
        if job is None:
            return
        run(job, common, judged, held_out, options.out)


def _claim(path: Path) -> bool:
    """Whether this process may take the run ``path``."""
    if path.with_suffix(".json").exists():
        return False
    try:
        os.close(os.open(path.with_suffix(".claim"), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def run(
    job: Job,
    common: dict[str, Any],
    judged: dict[str, People],
    held_out: dict[str, People],
    out: Path,
) -> None:
    """Train, keep the embeddings of what came of it."""
    begin = time.monotonic()
    values = {**common, **job.values, "seed": job.seed}
    # An episode of MLDG is one of the N that a step of MFR has.
    if values["method"] == "mldg":
        values["steps"] *= len(SOURCES)
    tuned = tune(values)
    trained = time.monotonic()
    points = {"end": tuned.last, "average": tuned.average}
    points["half"] = between(tuned.start, tuned.average, 0.5)
    start = judge(tuned.start, tuned, judged, held_out, out / START)
    found = {
        point: judge(weights, tuned, judged, held_out, out / f"{job.name}.{point}")
        for point, weights in points.items()
    }
    done = {
        **{"method": job.method, "attempt": job.attempt, "seed": job.seed, "values": job.values},
        **{"seconds": trained - begin, "losses": tuned.losses},
        "fnmr": {point: fnmr for point, (fnmr, _) in found.items()},
        "worst": {
            point: worst_relative_fnmr(start[1], known) for point, (_, known) in found.items()
        },
    }
    atomic.write_text(out / f"{job.name}.json", json.dumps(done, indent=1) + "\n")
    print(f"{job.name}: {trained - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
