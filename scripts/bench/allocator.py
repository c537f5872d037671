"""What keeping freed memory saves: glibc's defaults against `mfr.allocator`, on a CPU.

Each measurement has its own process, because the setting applies to a process; the two settings
alternate.

    python -m scripts.bench.allocator --rounds 3
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

from mfr.allocator import keep_freed_memory
from mfr.backbones import build_backbone
from mfr.encoder import Encoder
from scripts.bench.meta_step import Setting, make_step
from scripts.lib import resident_memory
from scripts.lib.command_line import command

MODULE = "scripts.bench.allocator"
BACKBONE = "mobilefacenet-112x96"
WORKLOADS = ("embed 128 crops, 64 at once", "plain step, 192 images", "second order, 64 images")
SETTINGS = ("glibc's defaults", "keeping freed memory")


def measure(workload: str, setting: str) -> tuple[float, float, float]:
    """Elapsed seconds, system seconds and peak MiB of one call, after another as a warm-up."""
    if setting == SETTINGS[1]:
        keep_freed_memory()
    if workload == WORKLOADS[0]:
        torch.manual_seed(0)
        encoder = Encoder.from_network(build_backbone(BACKBONE), BACKBONE)
        crops = np.random.default_rng(0).integers(0, 256, (128, 112, 112, 3), dtype=np.uint8)

        def call() -> None:
            encoder.embed(crops, batch_size=64)
    elif workload == WORKLOADS[1]:
        call = make_step(Setting(BACKBONE, 48), "plain", "contiguous")
    else:
        call = make_step(Setting(BACKBONE, 16), "second order", "contiguous")
    call()
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    call()
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    return wall, after.ru_stime - before.ru_stime, resident_memory.peak()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(measure(*json.loads(options.job))))
        return
    results: dict[tuple[str, str], list[list[float]]] = {}
    for _ in range(options.rounds):
        for workload in WORKLOADS:
            for setting in SETTINGS:
                job = json.dumps([workload, setting])
                child = [sys.executable, "-m", MODULE, "--job", job]
                run = subprocess.run(child, capture_output=True, text=True, check=True)
                results.setdefault((workload, setting), []).append(json.loads(run.stdout))
    print(f"command: {command()}")
    print(
        f"{BACKBONE}, median of {options.rounds} processes; torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, {platform.machine()}, {platform.libc_ver()}\n"
    )
    print("| workload | setting | seconds | of it system | peak MiB |\n|---|---|---|---|---|")
    for (workload, setting), rounds in results.items():
        wall, system, peak = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"| {workload} | {setting} | {wall:.2f} | {system:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
