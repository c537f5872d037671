"""Networks as functions of their parameters, and the tasks that meta learners learn from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mfr.meta.closed_layers import closed_layers

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
    with closed_layers():
        output: Tensor = functional_call(network, params, (inputs,))
    return output


def forward_isolated(network: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """``network(inputs)`` at ``params``; the network's buffers stay as they are.

    In training mode, batch normalisation still uses the statistics of this batch, but updates
    copies of its running statistics, which are discarded.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with closed_layers():
        output: Tensor = functional_call(network, {**buffers, **params}, (inputs,))
    return output


def total(losses: Losses) -> Tensor:
    """The sum of the losses, over the tasks too if they are stacked."""
    return reduce(torch.add, losses.values()).sum()


def gradient(objective: Objective, params: Params) -> tuple[Params, Losses]:
    """The gradient of the sum of the objective's losses at ``params``, and the losses, detached."""
    losses = objective(params)
    gradients = torch.autograd.grad(total(losses), list(params.values()))
    return dict(zip(params, gradients, strict=True)), detached(losses)


def gradient_by(
    objective: Objective, params: Params, names: Collection[str]
) -> tuple[Params, Losses]:
    """As `gradient`, but with respect to the parameters ``names`` alone.

    ``params`` need not be leaves of a graph.
    """
    leaves = {name: p.detach().requires_grad_(name in names) for name, p in params.items()}
    losses = objective(leaves)
    gradients = torch.autograd.grad(total(losses), [leaves[name] for name in names])
    return dict(zip(names, gradients, strict=True)), detached(losses)


def detached(losses: Losses) -> Losses:
    """The losses without their graph."""
    return {name: loss.detach() for name, loss in losses.items()}
