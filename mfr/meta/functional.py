"""Networks as functions of their parameters, and the gradient of a step looked ahead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

Params = dict[str, Tensor]
Losses = Mapping[str, Tensor]
Objective = Callable[[Params], Losses]
"""Parameters -> losses by name; what is minimised is their sum."""


@dataclass(frozen=True)
class Task:
    """What a meta learner learns from: an objective to step on and one to judge the step by.

    The objectives hold their data and their network; a meta learner only ever sees parameters and
    losses. In MFR ``support`` is meta-train and ``query`` meta-test.
    """

    support: Objective
    query: Objective | None = None


def parameters_of(network: nn.Module) -> Params:
    """The trainable parameters of ``network`` by name; the tensors themselves, not copies."""
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def forward_updating(network: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """``network(inputs)`` at ``params``; running statistics of the network move."""
    output: Tensor = functional_call(network, params, (inputs,))
    return output


def forward_isolated(network: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """``network(inputs)`` at ``params``; the network's buffers stay as they are.

    Batch normalisation in training mode still uses the statistics of this batch; what it would
    have added to its running statistics goes to copies that are thrown away.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    output: Tensor = functional_call(network, {**buffers, **params}, (inputs,))
    return output


def total(losses: Losses) -> Tensor:
    """The sum of the losses."""
    return torch.stack(list(losses.values())).sum()


def gradient(objective: Objective, params: Params) -> tuple[Params, Losses]:
    """Gradient of the objective's sum at ``params``, and its losses (detached)."""
    losses = objective(params)
    gradients = torch.autograd.grad(total(losses), list(params.values()))
    return dict(zip(params, gradients, strict=True)), detached(losses)


@dataclass(frozen=True)
class LookAhead:
    """Gradients of a support objective and of a query objective one step further on."""

    support: Params
    query: Params
    support_losses: Losses
    query_losses: Losses


def look_ahead(task: Task, params: Params, rate: float, *, first_order: bool) -> LookAhead:
    """Gradients by theta of L_S(theta) and of L_T(theta - rate * grad L_S(theta)).

    The second is v - rate * H v, with v = grad L_T at the stepped parameters and H the Hessian of
    L_S at theta (MAML, Finn et al. 2017, Eq. 1; MFR, Guo et al. 2020, Eq. 5). First order drops
    H v. Exactly, H v is the gradient of <grad L_S, v>: v is taken on its own graph first, which is
    freed before the second backward pass through L_S's.

    Args:
        task: both its objectives are used.
        params: theta; leaves that require gradients.
        rate: the inner step size alpha; at 0 both orders are exact and neither needs H.
        first_order: leave out the Hessian-vector product.
    """
    assert task.query is not None, "a task to look ahead on has a query"
    exact = rate != 0 and not first_order
    leaves = list(params.values())
    support_losses = task.support(params)
    support = torch.autograd.grad(total(support_losses), leaves, create_graph=exact)
    stepped = {
        name: (p.detach() - rate * g.detach()).requires_grad_()
        for (name, p), g in zip(params.items(), support, strict=True)
    }
    query, query_losses = gradient(task.query, stepped)
    if exact:
        # A parameter that enters L_S linearly has no second derivative, hence allow_unused.
        curvature = torch.autograd.grad(
            support, leaves, grad_outputs=list(query.values()), allow_unused=True
        )
        query = {
            name: v if hv is None else v - rate * hv
            for (name, v), hv in zip(query.items(), curvature, strict=True)
        }
    return LookAhead(
        support={name: g.detach() for name, g in zip(params, support, strict=True)},
        query=query,
        support_losses=detached(support_losses),
        query_losses=query_losses,
    )


def detached(losses: Losses) -> Losses:
    """The losses without their graph."""
    return {name: loss.detach() for name, loss in losses.items()}
