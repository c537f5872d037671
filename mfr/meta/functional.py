"""Networks as functions of their parameters, and the tasks that meta learners learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from mfr.meta.substitution import substituted

Params = dict[str, Tensor]
Losses = Mapping[str, Tensor]
Objective = Callable[[Params], Losses]
"""Parameters -> losses by name, whose sum is minimised."""


@dataclass(frozen=True)
class Task:
    """What a meta learner learns from: an objective to adapt to, and one to judge the result by.

    The objectives hold their data and their network; a meta learner sees parameters and losses
    only. In MFR, ``support`` is meta-train and ``query`` is meta-test.

    Attributes:
        support: the objective that inner steps descend.
        query: the objective that judges the adapted parameters; None for learners without one.
        steps: number of an inner step -> its support objective, if the steps differ (minibatches,
            or statistics of their own); otherwise all descend ``support``.
        stack: T, if this is a stack of T tasks: parameters are then (T, ...), a copy for each task,
            and every loss is (T,). Rules need not treat it differently: the gradient of a sum of
            losses over tasks separates again, because no task's loss depends on another task's
            parameters.
    """

    support: Objective
    query: Objective | None = None
    steps: Callable[[int], Objective] | None = None
    stack: int | None = None

    def at(self, step: int) -> Objective:
        """The support objective of an inner step."""
        return self.support if self.steps is None else self.steps(step)


def parameters_of(network: nn.Module) -> Params:
    """The trainable parameters of ``network`` by name: the tensors themselves, not copies."""
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def forward_updating(network: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """``network(inputs)`` at ``params``; the network's running statistics are updated."""
    with substituted(network, params):
        output: Tensor = network(inputs)
    return output


def forward_isolated(network: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """``network(inputs)`` at ``params``; the network's buffers stay as they are.

    In training mode, batch normalisation still uses the statistics of this batch, but updates
    copies of its running statistics, which are discarded.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with substituted(network, {**buffers, **params}):
        output: Tensor = network(inputs)
    return output


def total(losses: Losses) -> Tensor:
    """The sum of the losses, over the tasks too if they are stacked."""
    return reduce(torch.add, losses.values()).sum()


def detached(losses: Losses) -> Losses:
    """The losses without their graph."""
    return {name: loss.detach() for name, loss in losses.items()}
