"""Networks as functions of their parameters, and the tasks that meta learners see."""

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
"""Parameters -> losses by name; what is minimised is their sum."""


@dataclass(frozen=True)
class Task:
    """What a meta learner learns from: an objective to step on and one to judge the steps by.

    The objectives hold their data and their network; a meta learner only ever sees parameters and
    losses. In MFR ``support`` is meta-train and ``query`` meta-test.

    Attributes:
        support: what inner steps descend.
        query: what the outcome is judged by; None for learners that do not judge.
        steps: inner step -> its support objective, where steps differ (minibatches, statistics of
            their own); else all descend ``support``.
        stack: T, if this is T tasks in one: parameters then come as (T, ...), a copy a task, and
            every loss is (T,). Rules need not know: what they sum over tasks falls apart again,
            for no task's loss depends on another's parameters.
    """

    support: Objective
    query: Objective | None = None
    steps: Callable[[int], Objective] | None = None
    stack: int | None = None

    def at(self, step: int) -> Objective:
        """The support objective of an inner step."""
        return self.support if self.steps is None else self.steps(step)


def parameters_of(network: nn.Module) -> Params:
    """The trainable parameters of ``network`` by name; the tensors themselves, not copies."""
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def forward_updating(network: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """``network(inputs)`` at ``params``; running statistics of the network move."""
    with closed_layers():
        output: Tensor = functional_call(network, params, (inputs,))
    return output


def forward_isolated(network: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """``network(inputs)`` at ``params``; the network's buffers stay as they are.

    Batch normalisation in training mode still uses the statistics of this batch; what it would
    have added to its running statistics goes to copies that are thrown away.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with closed_layers():
        output: Tensor = functional_call(network, {**buffers, **params}, (inputs,))
    return output


def total(losses: Losses) -> Tensor:
    """The sum of the losses, and over tasks where they are stacked."""
    return reduce(torch.add, losses.values()).sum()


def gradient(objective: Objective, params: Params) -> tuple[Params, Losses]:
    """Gradient of the objective's sum at ``params``, and its losses (detached)."""
    losses = objective(params)
    gradients = torch.autograd.grad(total(losses), list(params.values()))
    return dict(zip(params, gradients, strict=True)), detached(losses)


def gradient_by(
    objective: Objective, params: Params, names: Collection[str]
) -> tuple[Params, Losses]:
    """Gradient of the objective's sum by some of ``params`` (leaves or not), and its losses."""
    leaves = {name: p.detach().requires_grad_(name in names) for name, p in params.items()}
    losses = objective(leaves)
    gradients = torch.autograd.grad(total(losses), [leaves[name] for name in names])
    return dict(zip(names, gradients, strict=True)), detached(losses)


def detached(losses: Losses) -> Losses:
    """The losses without their graph."""
    return {name: loss.detach() for name, loss in losses.items()}
