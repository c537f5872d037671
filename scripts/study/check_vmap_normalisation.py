"""Is a MAML gradient under vmap right through normalisation layers? Against finite differences.

For each layer, in float64 and training mode, it prints the relative error of the gradient of the
sum of the tasks' query losses after the inner steps. 'No inner step' needs first derivatives, the
other columns second ones: 'autograd' differentiates twice for each task, 'vmap(grad)' takes both
derivatives inside vmap, and 'backward(vmap)' takes the outer one outside, as PyTorch's MAML example
does. The finite differences themselves have an error of about 1e-9.

    python -m scripts.study.check_vmap_normalisation
"""

from __future__ import annotations

import argparse
import functools
import platform
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from mfr.meta.functional import Params, parameters_of
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.supervised import Loss, stacked
from scripts.lib.meta_peers import (
    MetaGradient,
    Peer,
    TaskBatch,
    relative_error,
    textbook,
    vmapped,
    vmapped_losses,
)

CHANNELS, SIDE, CLASSES, TASKS, SHOTS = 5, 6, 2, 3, 4
RIGHT = 1e-6


class HandWrittenBatchNorm(nn.Module):
    """Batch normalisation by the batch's own statistics, in elementary operations."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same."""
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
        scale, shift = (p.view(1, -1, 1, 1) for p in (self.weight, self.bias))
        return (x - mean) * torch.rsqrt(variance + 1e-5) * scale + shift


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "BatchNorm2d": lambda: nn.BatchNorm2d(CHANNELS),
    "BatchNorm2d, no affine": lambda: nn.BatchNorm2d(CHANNELS, affine=False),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(CHANNELS),
    "InstanceNorm2d, affine": lambda: nn.InstanceNorm2d(CHANNELS, affine=True),
    "LayerNorm": lambda: nn.LayerNorm([CHANNELS, SIDE, SIDE]),
    "GroupNorm": lambda: nn.GroupNorm(1, CHANNELS),
    "hand-written batch norm": lambda: HandWrittenBatchNorm(CHANNELS),
}


def problem(layer: Callable[[], nn.Module]) -> tuple[nn.Module, TaskBatch]:
    """A smooth network around the layer, and tasks."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, CHANNELS, 3, padding=1),
        layer(),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(CHANNELS * SIDE * SIDE, CLASSES),
    )
    for p in network.parameters():  # an affine part of ones and zeros would hide mistakes
        nn.init.normal_(p, std=0.5)
    inputs = [torch.randn(TASKS, SHOTS, 2, SIDE, SIDE, dtype=torch.float64) for _ in range(2)]
    targets = [torch.randint(CLASSES, (TASKS, SHOTS)) for _ in range(2)]
    return network.double().train(), TaskBatch(inputs[0], targets[0], inputs[1], targets[1])


def adapted_losses(
    network: nn.Module, batch: TaskBatch, rate: float, steps: int, at: Params
) -> float:
    """The sum of the tasks' query losses after inner steps from ``at``: first derivatives alone."""
    total = 0.0
    for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
        fast = {name: p.detach().requires_grad_() for name, p in at.items()}
        for _ in range(steps):
            inner = F.cross_entropy(functional_call(network, fast, (support_x,)), support_y)
            gradients = torch.autograd.grad(inner, list(fast.values()))
            fast = {
                name: (p - rate * g).detach().requires_grad_()
                for (name, p), g in zip(fast.items(), gradients, strict=True)
            }
        total += float(F.cross_entropy(functional_call(network, fast, (query_x,)), query_y))
    return total


def finite_differences(function: Callable[[Params], float], params: Params, step: float) -> Params:
    """Central differences, an element at a time."""
    found = {name: torch.zeros_like(p) for name, p in params.items()}
    for name, p in params.items():
        for i in range(p.numel()):
            nudge = torch.zeros_like(p)
            nudge.view(-1)[i] = step
            ahead, behind = (function({**params, name: p + s * nudge}) for s in (1, -1))
            found[name].view(-1)[i] = (ahead - behind) / (2 * step)
    return found


def ours(network: nn.Module, loss: Loss, rate: float, steps: int) -> MetaGradient:
    """Our stacked path: vmap over the forward pass alone, autograd outside it for both orders."""
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    learner = MetaLearner(network, MAML(rate, steps), optimiser)

    def meta_gradient(batch: TaskBatch) -> Params:
        mean, _ = learner.meta_gradient([stacked(network, loss, batch)])
        return {name: TASKS * g for name, g in mean.items()}

    return meta_gradient


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=0.5)
    parser.add_argument("--steps", type=int, default=2)
    options = parser.parse_args()
    print(
        f"{options.steps} inner steps of {options.rate:g}, {TASKS} tasks; torch "
        f"{torch.__version__}, Python {platform.python_version()}, {platform.machine()}\n"
    )
    columns: dict[str, tuple[Peer, int]] = {
        "backward(vmap), no inner step": (vmapped_losses, 0),
        "autograd": (textbook, options.steps),
        "vmap(grad)": (vmapped, options.steps),
        "backward(vmap)": (vmapped_losses, options.steps),
        "ours, stacked": (ours, options.steps),
    }
    print("| layer | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for name, layer in LAYERS.items():
        network, batch = problem(layer)
        params = {key: p.detach() for key, p in parameters_of(network).items()}
        expected = {
            steps: finite_differences(
                functools.partial(adapted_losses, network, batch, options.rate, steps), params, 1e-5
            )
            for steps in (0, options.steps)
        }
        cells = []
        for peer, steps in columns.values():
            found = peer(network, F.cross_entropy, options.rate, steps)(batch)
            error = relative_error(found, expected[steps])
            cells.append(f"{error:.1e}" + ("" if error < RIGHT else " **wrong**"))
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
