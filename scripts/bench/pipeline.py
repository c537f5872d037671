"""From photograph to embeddings: MFR against others, and where a photograph's time goes.

Two kinds of photographs, of one size each, are searched for faces, and all their faces embedded: a
random sample of those below PHOTOS, which must be of one size mostly, and group photos of 2 to 12
people composed from them (`scripts.lib.group_photos`). All start from the files, on all cores, and
look for faces from 5% of the short side. Each pipeline has its own process, and the rounds
alternate. The first warms up and is not counted. Memory is the peak resident memory during the
rounds, the program included; CPU is that of all threads. In bfloat16 only embeddings are computed.

Then the stages of MFR's pipeline, one photograph after the other on one core: medians over the
rounds of the mean processor time of a photograph.

    python -m scripts.bench.pipeline --photos PHOTOS
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Final, NamedTuple

import torch

from mfr import recogniser as recognising
from mfr.allocator import keep_freed_memory
from mfr.cpus import usable_cpus
from mfr.encoder import Encoder
from mfr.faces import cropping
from mfr.faces.mtcnn import cascade, packed_cascade
from mfr.faces.mtcnn.averages import AreaAverages
from mfr.faces.mtcnn.networks import MtcnnNetwork
from mfr.faces.mtcnn.openvino_networks import OpenVinoNetwork
from mfr.faces.mtcnn.window_means import Windows
from mfr.images import image_size
from mfr.runtimes.choice import processor
from scripts.lib.group_photos import HEIGHT, WIDTH, write_groups
from scripts.lib.photo_pipelines import PIPELINES, Pipeline, recogniser
from scripts.lib.photo_sample import sample
from scripts.lib.resident_memory import peak, reset_peak
from scripts.lib.stage_times import StageTimes, Timed

_RUNTIMES: Final = ("torch", "openvino")


class Run(NamedTuple):
    """What one round took."""

    seconds: float
    processor: float
    memory: float
    faces: int


@cache
def _made(name: str) -> Pipeline:
    torch.set_num_threads(usable_cpus())
    return PIPELINES[name]()


def run(name: str, photos: Sequence[Path]) -> Run:
    """One round of the pipeline ``name``, in this process."""
    keep_freed_memory()
    pipeline = _made(name)
    reset_peak()
    begin, began = time.perf_counter(), time.process_time()
    faces = pipeline(photos)
    return Run(time.perf_counter() - begin, time.process_time() - began, peak(), faces)


def compare(kinds: dict[str, list[Path]], rounds: int) -> None:
    """Print a table a kind of photographs."""
    spawn = multiprocessing.get_context("spawn")
    pools: dict[str, Pool] = {name: spawn.Pool(1) for name in PIPELINES}
    for kind, photos in kinds.items():
        results: dict[str, list[Run]] = {name: [] for name in PIPELINES}
        for turn in range(rounds + 1):
            for name, pool in pools.items():
                one = pool.apply(run, (name, photos))
                if turn:
                    results[name].append(one)
        print(f"\n## {len(photos)} {kind}\n")
        print("| | photos a second | lowest-highest | ratio | CPU ms a photo | faces | peak MiB |")
        print("|---|---|---|---|---|---|---|")
        rates = {
            name: sorted(len(photos) / one.seconds for one in runs)
            for name, runs in results.items()
        }
        base = statistics.median(next(iter(rates.values())))
        for name, runs in results.items():
            rate = statistics.median(rates[name])
            cpu = statistics.median(one.processor for one in runs) / len(photos)
            print(
                f"| {name} | {rate:.1f} | {rates[name][0]:.1f}-{rates[name][-1]:.1f} "
                f"| {rate / base:.2f} | {1000 * cpu:.1f} | {runs[0].faces} "
                f"| {max(one.memory for one in runs):.0f} |",
                flush=True,
            )
    for pool in pools.values():
        pool.terminate()


def _network(network: MtcnnNetwork | OpenVinoNetwork, *_: object) -> str:
    return {"pnet": "P-Net", "rnet": "R-Net", "onet": "O-Net"}[network.name]


def _gathering(_: object, windows: Windows) -> str:
    return "patches" if windows.shares.shape[1] in (24, 48) else "pyramid"


FUNCTIONS: Final = [
    Timed(recognising, "read_image", lambda *_: "decoding"),
    Timed(AreaAverages, "__init__", lambda *_: "pyramid"),
    Timed(AreaAverages, "whole", lambda *_: "pyramid"),
    Timed(AreaAverages, "patches", lambda *_: "patches"),
    Timed(packed_cascade, "packed_pyramid", lambda *_: "pyramid"),
    Timed(packed_cascade, "means", _gathering),
    Timed(packed_cascade, "square_windows", lambda *_: "patches"),
    Timed(MtcnnNetwork, "forward", _network),
    Timed(OpenVinoNetwork, "__call__", _network),
    *(
        Timed(module, name, lambda *_: "candidates: thresholds, overlaps, moves")
        for module in (cascade, packed_cascade)
        for name in ("suppress_overlaps", "merged", "refined", "located", "squares_of")
    ),
    Timed(cascade, "proposed", lambda *_: "candidates: thresholds, overlaps, moves"),
    Timed(cropping, "align_face", lambda *_: "alignment"),
    Timed(cropping, "cut_face", lambda *_: "alignment"),
    Timed(cropping, "measure_quality", lambda *_: "quality"),
    Timed(Encoder, "embed", lambda *_: "embedding"),
    Timed(Encoder, "embed_chips", lambda *_: "embedding"),
]


def stages(kinds: dict[str, list[Path]], rounds: int) -> None:
    """Print where the time goes, a table a kind of photographs."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    made = {runtime: recogniser("mtcnn", runtime) for runtime in _RUNTIMES}
    for kind, photos in kinds.items():
        found: dict[str, list[StageTimes]] = {runtime: [] for runtime in _RUNTIMES}
        for turn in range(rounds + 1):
            for runtime, one in made.items():
                times = StageTimes()
                whole = Timed(type(one), "embed_faces", lambda *_: "all else")
                with times.timing(whole, *FUNCTIONS):
                    for photo in photos:
                        one.embed_faces(photo)
                if turn:
                    found[runtime].append(times)
        print(f"\n## Stages of {kind}, mtcnn, one core\n")
        heads = [f"{runtime}, ms | share | calls" for runtime in _RUNTIMES]
        print(f"| stage | {' | '.join(heads)} |")
        print("|---" * (1 + 3 * len(_RUNTIMES)) + "|")
        _print_stages(found, len(photos))


def _print_stages(found: dict[str, list[StageTimes]], photos: int) -> None:
    medians = {
        runtime: {
            stage: 1000 * statistics.median(times.seconds[stage] for times in runs) / photos
            for stage in runs[0].seconds
        }
        for runtime, runs in found.items()
    }
    order = sorted(medians["torch"], key=lambda stage: -medians["torch"][stage])
    for stage in order:
        cells = [
            f"{ms[stage]:.2f} | {ms[stage] / sum(ms.values()):.0%} "
            f"| {found[runtime][0].calls[stage] / photos:.1f}"
            for runtime, ms in medians.items()
        ]
        print(f"| {stage} | {' | '.join(cells)} |")
    totals = [f"{sum(ms.values()):.2f} | 100% | " for ms in medians.values()]
    print(f"| together | {' | '.join(totals)} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--groups", type=int, default=33)
    parser.add_argument("--rounds", type=int, default=5, help="those that count")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    photos = sample(options.photos, options.count, options.seed)
    width, height = image_size(photos[0])
    print(
        f"Medians of {options.rounds} rounds; {usable_cpus()} of {os.cpu_count()} cores, "
        f"{processor()}, torch {torch.__version__}, Python {platform.python_version()}. The "
        "networks of the first two have random weights."
    )
    with tempfile.TemporaryDirectory() as scratch:
        groups = write_groups(photos, options.groups, options.seed, Path(scratch))
        kinds = {
            f"photos of {width} x {height}": photos,
            f"group photos of {WIDTH} x {HEIGHT}": groups,
        }
        compare(kinds, options.rounds)
        stages(kinds, options.rounds)


if __name__ == "__main__":
    main()
