"""Seconds and memory of one MFR meta-step: second order, first order, and a plain step.

All three see the same images and losses: one episode of B identities a side. 'plain' is the sum of
both sides' gradients at theta, which is what a step costs without looking ahead. Times are taken in
one process, interleaved. Memory is what a step adds, in a process of its own, to what the network
and the images take: on a CPU the growth of the resident set, on a GPU that of the allocated memory.
In bfloat16 the objectives run under autocast; parameters, gradients and images stay float32.

    python -m scripts.bench.meta_step --identities 16 --rounds 5
    python -m scripts.bench.meta_step --identities 128 --device cuda --dtype bfloat16
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
from typing import NamedTuple

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
from scripts.lib import resident_memory

MODULE = "scripts.bench.meta_step"
RULES: dict[str, MFR] = {
    "plain": MFR(alpha=0.0),
    "first order": MFR(first_order=True),
    "second order": MFR(),
}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Setting(NamedTuple):
    """What all cells of a table share."""

    backbone: str
    identities: int
    device: str = "cpu"
    dtype: str = "float32"


def make_task(
    setting: Setting,
    layout: torch.memory_format,
    updating: Forward = forward_updating,
    isolated: Forward = forward_isolated,
) -> tuple[FaceNetwork, Task]:
    """A network and one episode of random images."""
    torch.manual_seed(0)
    backbone, identities, device, _ = setting
    spec = backbone_spec(backbone)
    network = FaceNetwork(build_backbone(backbone), spec.geometry).train()
    network.to(device).to(memory_format=layout)
    shape = (2 * identities, 3, spec.geometry.height, spec.geometry.width)
    sides = [torch.randn(shape).to(device, memory_format=layout) for _ in range(2)]
    domains = torch.arange(identities, device=device) % 2
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


def make_step(setting: Setting, rule: str, layout: str) -> Callable[[], None]:
    """A function that takes one episode's meta-gradient, and returns when it is there."""
    network, task = make_task(setting, LAYOUTS[layout])
    params = parameters_of(network)
    kind, dtype = torch.device(setting.device).type, DTYPES[setting.dtype]

    def step() -> None:
        with torch.autocast(kind, dtype, enabled=dtype is not torch.float32):
            RULES[rule].meta_gradient(params, task)
        if kind == "cuda":
            torch.cuda.synchronize()

    return step


def peak_memory(setting: Setting, rule: str, layout: str) -> float:
    """MiB that a step adds, in a fresh process."""
    job = json.dumps([setting, rule, layout])
    run = subprocess.run(
        [sys.executable, "-m", MODULE, "--memory-of", job],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(run.stdout)


def print_memory_of(job: str) -> None:
    """The child's part of `peak_memory`."""
    setting, rule, layout = json.loads(job)
    step = make_step(Setting(*setting), rule, layout)
    # The first multi-threaded operation allocates what stays.
    torch.randn(64, 64) @ torch.randn(64, 64)
    if Setting(*setting).device.startswith("cuda"):
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        print((torch.cuda.max_memory_allocated() - before) / 2**20)
        return
    resident = resident_memory.current()
    resident_memory.reset_peak()
    step()
    print(resident_memory.peak() - resident)


def times_of(
    setting: Setting, cells: list[tuple[str, str]], rounds: int
) -> dict[tuple[str, str], list[float]]:
    """Seconds of every cell's steps; cells that do not fit into the GPU's memory are left out."""
    steps = {cell: make_step(setting, *cell) for cell in cells}
    times: dict[tuple[str, str], list[float]] = {cell: [] for cell in cells}
    for round_number in range(rounds + 1):
        for cell, step in steps.items():
            if cell not in times:
                continue
            begin = time.perf_counter()
            try:
                step()
            except torch.OutOfMemoryError:
                print(f"{', '.join(cell)}: does not fit into the memory of {setting.device}\n")
                del times[cell]
                continue
            if round_number:  # the first warms up
                times[cell].append(time.perf_counter() - begin)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backbone", default="mobilefacenet-112x96", choices=backbone_names())
    parser.add_argument("--identities", type=int, default=16, help="B, identities a side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layout", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=DTYPES)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        return print_memory_of(options.memory_of)
    setting = Setting(options.backbone, options.identities, options.device, options.dtype)
    cells = [(rule, layout) for layout in options.layout for rule in RULES]
    times = times_of(setting, cells, options.rounds)
    if setting.device.startswith("cuda"):
        torch.cuda.empty_cache()  # the processes that measure memory need it
        machine = torch.cuda.get_device_name(setting.device)
    else:
        machine = f"{torch.get_num_threads()} threads"
    print(
        f"{options.backbone}, B = {options.identities}: {4 * options.identities} images a step, "
        f"{setting.dtype}, median of {options.rounds}; torch {torch.__version__}, {machine}, "
        f"Python {platform.python_version()}, {platform.machine()}\n"
    )
    memory = {cell: peak_memory(setting, *cell) for cell in times}
    base = ("first order", options.layout[0])
    seconds = {cell: statistics.median(measured) for cell, measured in times.items()}
    print("| step | layout | seconds | x first order | MiB | x first order |")
    print("|---|---|---|---|---|---|")
    for rule, layout in times:
        here = (rule, layout)
        slower, larger = (
            f"{of[here] / of[base]:.2f}" if base in of else "-" for of in (seconds, memory)
        )
        print(
            f"| {rule} | {layout} | {seconds[here]:.3g} | {slower} "
            f"| {memory[here]:.0f} | {larger} |"
        )


if __name__ == "__main__":
    main()
