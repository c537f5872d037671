"""Reptile (Nichol et al., arXiv 1803.02999, Algorithms 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from mfr.meta.functional import Losses, Params, Task
from mfr.meta.inner_loop import Adapts, State, Update, descend, everything
from mfr.meta.rule import Rule, named


@dataclass(frozen=True)
class Adam(Update):
    """Adam (Kingma & Ba 2015) as a pure update; Reptile's inner loop sets beta1 = 0.

    Moments start at 0 in every inner loop, bias-corrected. The authors' code keeps them from task
    to task; a meta-gradient here depends on nothing but parameters and task.
    """

    rate: float = 1e-3
    beta1: float = 0.0
    beta2: float = 0.999
    eps: float = 1e-8

    def start(self, params: Params) -> State:
        """Both moments 0, and no step taken."""
        state = {f"second:{name}": torch.zeros_like(p) for name, p in params.items()}
        if self.beta1:
            state |= {f"first:{name}": torch.zeros_like(p) for name, p in params.items()}
        return state | {"adam:steps": torch.zeros(())}

    def __call__(self, state: State, gradients: Params) -> State:
        """One step."""
        count = state["adam:steps"] + 1
        changed = {"adam:steps": count}
        steps = float(count.detach())
        for name, g in gradients.items():
            second = self.beta2 * state[f"second:{name}"] + (1 - self.beta2) * g * g
            changed[f"second:{name}"] = second
            first = g
            if self.beta1:
                first = self.beta1 * state[f"first:{name}"] + (1 - self.beta1) * g
                changed[f"first:{name}"] = first
            scale = _root(second / (1 - self.beta2**steps)) + self.eps
            changed[name] = state[name] - self.rate / (1 - self.beta1**steps) * first / scale
        return changed


def _root(squares: torch.Tensor) -> torch.Tensor:
    """Square roots whose slope at 0 is 0: a gradient of exactly 0 is common, and 0/0 is not one."""
    positive = squares > 0
    return torch.where(positive, squares, 1.0).sqrt() * positive


@dataclass(frozen=True)
class Reptile(Rule):
    """theta - theta_k, after k inner steps: with an outer SGD of rate epsilon, Algorithm 2.

    One task a step is the serial version (Algorithm 1), several the batched one: theta moves by
    the mean of their differences. The paper lets epsilon fall linearly to 0. No second
    derivatives are taken anywhere.

    Whether test images are normalised together (transduction) or each with the support is the
    evaluation's choice of forward pass.

    Attributes:
        steps: k. Where steps differ (minibatches), the task's ``steps`` says so.
        update: the inner optimiser; the paper's is Adam with beta1 = 0.
        adapts: which parameters move.
    """

    steps: int = 5
    update: Update = field(default_factory=Adam)
    adapts: Adapts = everything

    @property
    def inner(self) -> Update:
        """The inner optimiser."""
        return self.update

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """theta - theta_k, and the losses of the last inner step as ``support/*``."""
        trajectory = descend(
            task.at, params, params, self.update, self.steps, adapts=self.adapts, remember=False
        )
        difference = {name: (p - trajectory.end[name]).detach() for name, p in params.items()}
        return difference, named(support=trajectory.losses[-1])
