"""Seconds and memory of one MFR meta-step: second order, first order, and a plain step.

All three see the same images and losses: one episode of B identities a side. 'plain' is the sum of
both sides' gradients at theta, what a step costs without looking ahead. Times are taken in one
process, interleaved; memory is the growth of the resident set in a process of its own, over a
process that has built the network and held the images.

    python scripts/bench_meta_step.py --identities 16 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import resident_memory
import torch

from mfr.backbones import backbone_names, backbone_spec, build_backbone
from mfr.losses import domain_alignment, hard_pair_attention, soft_classification, thresholds
from mfr.meta.functional import (
    Losses,
    Objective,
    Params,
    Task,
    forward_isolated,
    forward_updating,
    parameters_of,
)
from mfr.meta.mfr import MFR
from mfr.meta.supervised import Forward
from mfr.training.methods.network import FaceNetwork

RULES: dict[str, MFR] = {
    "plain": MFR(alpha=0.0),
    "first order": MFR(first_order=True),
    "second order": MFR(),
}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


def make_task(
    backbone: str,
    identities: int,
    layout: torch.memory_format,
    updating: Forward = forward_updating,
    isolated: Forward = forward_isolated,
) -> tuple[FaceNetwork, Task]:
    """A network and one episode of random images, ``identities`` a side."""
    torch.manual_seed(0)
    spec = backbone_spec(backbone)
    network = FaceNetwork(build_backbone(backbone), spec.geometry).train()
    network.to(memory_format=layout)
    shape = (2 * identities, 3, spec.geometry.height, spec.geometry.width)
    sides = [torch.randn(shape).contiguous(memory_format=layout) for _ in range(2)]
    domains = torch.arange(identities) % 2
    tau_p, tau_n = thresholds(0)

    def objective(images: torch.Tensor, meta_train: bool) -> Objective:
        forward = updating if meta_train else isolated

        def losses(params: Params) -> Losses:
            gallery, probe = forward(network, params, images).chunk(2)
            found = {
                "hard_pair": hard_pair_attention(gallery, probe, tau_p, tau_n),
                "classification": soft_classification(gallery, probe),
            }
            if meta_train:
                found["alignment"] = domain_alignment(gallery, probe, domains)
            return found

        return losses

    return network, Task(objective(sides[0], True), objective(sides[1], False))


def make_step(backbone: str, identities: int, rule: str, layout: str) -> Callable[[], None]:
    """A function that takes one episode's meta-gradient."""
    network, task = make_task(backbone, identities, LAYOUTS[layout])
    params = parameters_of(network)

    def step() -> None:
        RULES[rule].meta_gradient(params, task)

    return step


def peak_memory(backbone: str, identities: int, rule: str, layout: str) -> float:
    """MiB that a step adds to the resident set, in a fresh process."""
    job = json.dumps([backbone, identities, rule, layout])
    run = subprocess.run(
        [sys.executable, __file__, "--memory-of", job], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def print_memory_of(job: str) -> None:
    """The child's part of `peak_memory`."""
    backbone, identities, rule, layout = json.loads(job)
    step = make_step(backbone, identities, rule, layout)
    # The first multi-threaded operation allocates what stays.
    torch.randn(64, 64) @ torch.randn(64, 64)
    before = resident_memory.current()
    resident_memory.reset_peak()
    step()
    print(resident_memory.peak() - before)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="mobilefacenet-112x96", choices=backbone_names())
    parser.add_argument("--identities", type=int, default=16, help="B, identities a side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        return print_memory_of(options.memory_of)
    cells = [(rule, layout) for layout in LAYOUTS for rule in RULES]
    steps = {cell: make_step(options.backbone, options.identities, *cell) for cell in cells}
    times: dict[tuple[str, str], list[float]] = {cell: [] for cell in cells}
    for round_number in range(options.rounds + 1):
        for cell, step in steps.items():
            begin = time.perf_counter()
            step()
            if round_number:  # the first warms up
                times[cell].append(time.perf_counter() - begin)
    print(
        f"{options.backbone}, B = {options.identities}: {4 * options.identities} images a step, "
        f"median of {options.rounds}; "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, {platform.machine()}\n"
    )
    print("| step | layout | seconds | x first order | MiB | x first order |")
    print("|---|---|---|---|---|---|")
    memory = {cell: peak_memory(options.backbone, options.identities, *cell) for cell in cells}
    for rule, layout in cells:
        seconds = statistics.median(times[rule, layout])
        base = statistics.median(times["first order", "contiguous"])
        mib, mib_base = memory[rule, layout], memory["first order", "contiguous"]
        print(
            f"| {rule} | {layout} | {seconds:.2f} | {seconds / base:.2f} "
            f"| {mib:.0f} | {mib / mib_base:.2f} |"
        )


if __name__ == "__main__":
    main()
