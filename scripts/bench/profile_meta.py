"""Where the time of our meta-gradients goes: scripts.bench.meta by kind of operation.

All run in one thread. 'arithmetic' is the share of a step that its floating-point operations would
take at the machine's measured rate for matrix products, which convolutions can exceed. The other
columns are the shares that PyTorch's profiler finds for convolutions and matrix products,
normalisation, all other work on tensors, and the work between operations (Python, autograd and
dispatch). The profiler's own cost makes the last share too large where operations are tiny.

    python -m scripts.bench.profile_meta
"""

from __future__ import annotations

import argparse
import time

import torch
from torch.profiler import ProfilerActivity, profile

from mfr.allocator import keep_freed_memory
from scripts.bench.meta import WORKLOADS, matmul_rate, operations_of

KINDS = {
    "products": ("convolution", "mm", "addmm", "bmm", "linear", "dot"),
    "normalisation": ("batch_norm",),
}
"""Kinds by what the names of their operations hold."""


def kind_of(operation: str) -> str:
    """The kind of a profiled operation."""
    if not operation.startswith("aten::"):
        return "between"  # autograd's functions and engine: their own time, without what they call
    for kind, parts in KINDS.items():
        if any(part in operation for part in parts):
            return kind
    return "other tensors"


def shares(name: str, steps: int, rate: float) -> dict[str, float]:
    """The milliseconds of a step, and the share of each kind of operation."""
    step = WORKLOADS[name].step("ours")
    step()
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    seconds = (time.perf_counter() - begin) / steps
    begin = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            step()
    profiled = time.perf_counter() - begin
    found = dict.fromkeys([*KINDS, "other tensors", "between"], 0.0)
    for event in profiler.key_averages():
        found[kind_of(event.key)] += event.self_cpu_time_total / 1e6
    found["between"] += max(profiled - sum(found.values()), 0.0)
    everything = sum(found.values())
    return {
        "ms": 1e3 * seconds,
        "arithmetic": operations_of(step) / rate / seconds,
        **{kind: value / everything for kind, value in found.items()},
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    rate = matmul_rate()
    print(
        f"mean of {options.steps} steps; matrix products reach {rate / 1e9:.0f} GFLOP/s; "
        f"torch {torch.__version__}, 1 thread\n"
    )
    columns = ["arithmetic", *KINDS, "other tensors", "between"]
    print(f"| | ms | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 2) + "|")
    for name in options.workload:
        found = shares(name, options.steps, rate)
        cells = " | ".join(f"{found[column]:.0%}" for column in columns)
        print(f"| {name} | {found['ms']:.1f} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
