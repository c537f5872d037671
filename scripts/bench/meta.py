"""Seconds and memory of an exact meta-gradient: ours against other libraries and a plain loop.

All take the same tasks, network and loss, and all return the same gradient to 1e-4 in float32 or
are marked as wrong. Times are medians of one interleaved run; in each round a peer takes as many
consecutive steps as fill a fifth of a second, as training would, so that a stall does not outweigh
a short step. Memory is the growth of the resident set in a separate process, which has built the
network and holds the tasks. 'peak' is the floating-point rate of the plain loop's operations in
that time, as a share of the machine's measured rate for matrix products, which convolutions can
exceed.

    python -m scripts.bench.meta --rounds 5
    python -m scripts.bench.meta --workload omniglot-1 --peers textbook learn2learn
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mfr.allocator import keep_freed_memory
from mfr.errors import MfrError
from mfr.meta.batching import Batching
from mfr.meta.functional import Params, Task, parameters_of, total
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.mfr import GAMMA, MFR
from mfr.meta.tasks.batch import TaskBatch
from scripts.bench.meta_step import Setting, make_task
from scripts.lib import meta_peers, resident_memory

MODULE = "scripts.bench.meta"
Step = Callable[[], Params]
AGREES = 1e-4
IN_A_ROW = 0.2
"""How many seconds a peer's turn in a round lasts; it takes at least one step."""


@dataclass(frozen=True)
class FewShot:
    """A workload of few-shot tasks: exact MAML."""

    tasks: int
    ways: int
    shots: int
    query_shots: int
    shape: tuple[int, ...]
    steps: int
    network: Callable[[], nn.Module]
    rate: float = 0.01
    left_out: tuple[str, ...] = ()

    def step(self, peer: str) -> Step:
        """One meta-gradient, summed or averaged over the tasks as the peer does."""
        torch.manual_seed(0)
        network = self.network().train()
        batch = self.batch()
        loss = F.mse_loss if self.ways == 0 else F.cross_entropy
        if peer != "ours":
            compute = meta_peers.PEERS[peer](network, loss, self.rate, self.steps)
            return lambda: {n: g / self.tasks for n, g in compute(batch).items()}
        # The optimiser is not stepped: peers do not step either.
        rule = MAML(self.rate, self.steps)
        learner = MetaLearner(network, rule, torch.optim.SGD(network.parameters(), lr=1.0))
        batching = Batching(network, loss)
        return lambda: learner.meta_gradient(batching(batch))[0]

    def batch(self) -> TaskBatch:
        """Random tasks, because the content of the images does not change the time."""
        generator = torch.Generator().manual_seed(1)
        sides = []
        for shots in (self.shots, self.query_shots):
            examples = max(self.ways, 1) * shots
            x = torch.randn(self.tasks, examples, *self.shape, generator=generator)
            if self.ways == 0:
                sides += [x, torch.randn(self.tasks, examples, 1, generator=generator)]
            else:
                sides += [x, torch.arange(self.ways).repeat_interleave(shots).repeat(self.tasks, 1)]
        return TaskBatch(*sides)

    def described(self) -> str:
        """The workload in one line."""
        kind = f"{self.ways}-way" if self.ways else "regression"
        return (
            f"{self.tasks} tasks of {self.shape}, {kind}, {self.shots} shots, {self.query_shots} "
            f"query shots, {self.steps} inner steps"
        )

    def peers(self) -> list[str]:
        """The peers that can take part."""
        return [*(peer for peer in meta_peers.PEERS if peer not in self.left_out), "ours"]


@dataclass(frozen=True)
class Faces:
    """A workload of one MFR episode on a face network: against a plain loop."""

    backbone: str
    identities: int

    def step(self, peer: str) -> Step:
        """One episode's meta-gradient."""
        setting = Setting(self.backbone, self.identities)
        contiguous = torch.contiguous_format
        if peer == "ours":
            network, task = make_task(setting, contiguous)
            params = parameters_of(network)
            return lambda: MFR().meta_gradient(params, task)[0]
        network, task = make_task(setting, contiguous, stock, stock)
        params = parameters_of(network)
        return lambda: textbook_mfr(params, task)

    def described(self) -> str:
        """The workload in one line."""
        return f"{self.backbone}, one MFR episode of {self.identities} identities a side"

    def peers(self) -> list[str]:
        """A plain loop and ours, because the libraries have no such rule."""
        return ["textbook", "ours"]


def stock(network: nn.Module, params: Params, inputs: torch.Tensor) -> torch.Tensor:
    """A forward pass by PyTorch's own layers."""
    output: torch.Tensor = functional_call(network, params, (inputs,))
    return output


def textbook_mfr(params: Params, task: Task) -> Params:
    """MFR's gradient by one graph through everything, with PyTorch's own layers."""
    leaves = list(params.values())
    assert task.query is not None
    support = total(task.support(params))
    gradients = torch.autograd.grad(support, leaves, create_graph=True)
    rate = MFR().alpha
    stepped = {n: p - rate * g for (n, p), g in zip(params.items(), gradients, strict=True)}
    objective = GAMMA * support + (1 - GAMMA) * total(task.query(stepped))
    return dict(zip(params, torch.autograd.grad(objective, leaves), strict=True))


def perceptron() -> nn.Module:
    """The 40-40 network of MAML's sinusoids."""
    return nn.Sequential(
        *(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    )


def strided_blocks() -> nn.Module:
    """Four blocks of 64 filters with stride 2: MAML's network for Omniglot."""
    layers: list[nn.Module] = []
    for channels in (1, 64, 64, 64):
        convolution = nn.Conv2d(channels, 64, 3, stride=2, padding=1)
        layers += [convolution, nn.BatchNorm2d(64, track_running_stats=False), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 5))


def pooled_blocks() -> nn.Module:
    """Four blocks of 32 filters with pooling: MAML's network for 84 x 84 images."""
    layers: list[nn.Module] = []
    for channels in (3, 32, 32, 32):
        convolution = nn.Conv2d(channels, 32, 3, padding=1)
        norm = nn.BatchNorm2d(32, track_running_stats=False)
        layers += [convolution, norm, nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(800, 5))


WORKLOADS: dict[str, FewShot | Faces] = {
    "sinusoid": FewShot(25, 0, 10, 10, (1,), 1, perceptron),
    "omniglot-1": FewShot(32, 5, 1, 1, (1, 28, 28), 1, strided_blocks),
    "omniglot-5": FewShot(32, 5, 1, 1, (1, 28, 28), 5, strided_blocks),
    # All of its tasks at once need more memory than this benchmark may use.
    "images-84": FewShot(
        *(4, 5, 5, 15, (3, 84, 84), 5, pooled_blocks),
        left_out=("vmap, grad inside", "vmap, backward outside"),
    ),
    "faces": Faces("mobilefacenet-112x96", 16),
}


def distance(found: Params, expected: Params) -> float:
    """Norm of the difference over the norm of what was expected."""
    return meta_peers.relative_error(
        {n: g.detach() for n, g in found.items()}, {n: g.detach() for n, g in expected.items()}
    )


def matmul_rate() -> float:
    """Floating-point operations a second of large matrix products: the best of ten."""
    a = torch.randn(2048, 2048)
    best = float("inf")
    for _ in range(10):
        begin = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - begin)
    return 2 * 2048**3 / best


def operations_of(step: Step) -> int:
    """Floating-point operations of a step's convolutions and matrix products."""

    def of_convolution_backward(
        gy: tuple[int, ...], _x: Any, weight: tuple[int, ...], *how: Any, **_: Any
    ) -> int:
        # PyTorch's own count takes the gradient of a grouped weight for that of a full one.
        wanted = how[-1]
        return 2 * math.prod(gy) * math.prod(weight[1:]) * sum(wanted[:2])

    mapping = {torch.ops.aten.convolution_backward: of_convolution_backward}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        step()
    return counter.get_total_flops()


def peak_memory(workload: str, peer: str) -> float:
    """MiB that a step adds to the resident set, in a fresh process."""
    command = [sys.executable, "-m", MODULE, "--memory-of", json.dumps([workload, peer])]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(run.stdout)


def print_memory_of(job: str) -> None:
    """The child's part of `peak_memory`."""
    workload, peer = json.loads(job)
    step = WORKLOADS[workload].step(peer)
    # The first multi-threaded operation allocates what stays.
    torch.randn(64, 64) @ torch.randn(64, 64)
    before = resident_memory.current()
    resident_memory.reset_peak()
    step()
    print(resident_memory.peak() - before)


def measure(name: str, wanted: list[str] | None, rounds: int, rate: float) -> None:
    """Print one workload's table."""
    workload = WORKLOADS[name]
    steps: dict[str, Step] = {}
    agreement: dict[str, float] = {}
    expected: Params | None = None
    for peer in workload.peers():
        if wanted and peer not in wanted and peer != "ours":
            continue
        try:
            step = workload.step(peer)
            found = step()
        except (ImportError, AttributeError, TypeError, RuntimeError, MfrError) as error:
            print(f"{name}: {peer} is left out: {type(error).__name__}: {str(error)[:100]}")
            continue
        expected = found if expected is None else expected
        steps[peer], agreement[peer] = step, distance(found, expected)
    times: dict[str, list[float]] = {peer: [] for peer in steps}
    for _ in range(rounds):
        for peer, step in steps.items():
            begin = last = time.perf_counter()
            while last == begin or last - begin < IN_A_ROW:
                step()
                now = time.perf_counter()
                times[peer].append(now - last)
                last = now
    operations = operations_of(next(iter(steps.values())))
    memory = {peer: peak_memory(name, peer) for peer in steps}
    ours = statistics.median(times["ours"])
    print(f"\n### {name}\n\n{workload.described()}\n")
    print("| | ms | x ours | MiB | x ours | peak | error |")
    print("|---|---|---|---|---|---|---|")
    for peer in steps:
        seconds = statistics.median(times[peer])
        wrong = "" if agreement[peer] < AGREES else " **wrong**"
        print(
            f"| {peer} | {seconds * 1e3:.1f} | {seconds / ours:.2f} | {memory[peer]:.0f} "
            f"| {memory[peer] / memory['ours']:.2f} | {operations / seconds / rate:.0%} "
            f"| {agreement[peer]:.0e}{wrong} |",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--peers", nargs="+", choices=meta_peers.PEERS, help="all that install")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    keep_freed_memory()
    if options.memory_of:
        return print_memory_of(options.memory_of)
    rate = matmul_rate()
    print(
        f"median of {options.rounds} interleaved rounds; matrix products reach {rate / 1e9:.0f} "
        f"GFLOP/s; torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, {platform.machine()}"
    )
    for name in options.workload:
        measure(name, options.peers, options.rounds, rate)


if __name__ == "__main__":
    main()
