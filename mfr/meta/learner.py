"""The outer loop, written once: rules give meta-gradients, the learner averages and steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from mfr.errors import TrainingError
from mfr.meta.functional import Losses, Params, Task, gradient, parameters_of


class Rule(Protocol):
    """A meta learner: turns parameters and a task into a meta-gradient."""

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """The gradient to descend, one a parameter, and the losses by name."""
        ...


@dataclass(frozen=True)
class PlainGradient:
    """No meta learning: the gradient of the support objective."""

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """Gradient of ``task.support`` at ``params``; the query is not looked at."""
        return gradient(task.support, params)


class MetaLearner:
    """How a model learns: a rule, a network and the optimiser of the outer step.

    Args:
        network: any module; it is adapted through its parameters and never changed in structure.
        rule: MFR, MLDG, PlainGradient, ...
        optimiser: over the network's trainable parameters.
    """

    def __init__(self, network: nn.Module, rule: Rule, optimiser: torch.optim.Optimizer) -> None:
        self.network = network
        self.rule = rule
        self.optimiser = optimiser

    def step(self, tasks: Iterable[Task]) -> dict[str, float]:
        """One outer step on the mean of the tasks' meta-gradients.

        With a learning rate beta this is Algorithm 1's theta <- theta - beta / N * sum of the N
        episodes' gradients (Guo et al. 2020); momentum and weight decay act on that mean. Tasks
        are taken one at a time, so memory does not grow with their number.

        Returns:
            The mean of each loss by name, and ``gradient_norm``, the norm of the mean gradient.

        Raises:
            TrainingError: a loss or the gradient is NaN or infinite; the parameters are as they
                were before the step.
        """
        params = parameters_of(self.network)
        sums = {name: torch.zeros_like(p) for name, p in params.items()}
        losses: dict[str, float] = {}
        count = 0
        for task in tasks:
            gradients, task_losses = self.rule.meta_gradient(params, task)
            for name, value in gradients.items():
                sums[name] += value
            for name, loss in task_losses.items():
                losses[name] = losses.get(name, 0.0) + float(loss)
            count += 1
        if count == 0:
            raise ValueError("a step needs at least one task")
        norm = torch.linalg.vector_norm(
            torch.stack([torch.linalg.vector_norm(s) for s in sums.values()])
        )
        means = {name: value / count for name, value in losses.items()}
        means["gradient_norm"] = float(norm) / count
        broken = [name for name, value in means.items() if not abs(value) < float("inf")]
        if broken:
            raise TrainingError(f"{', '.join(broken)} became NaN or infinite")
        for name, p in params.items():
            p.grad = sums[name] / count
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return means
