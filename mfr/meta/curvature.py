"""Ways to take the product of a support loss's Hessian with a vector. All of them agree.

A `Curvature` takes the gradient of an objective and leaves behind how the Hessian acts there. The
rows of that Hessian are the adapted parameters, its columns all of them: H v = d<g, v>/dtheta.

- `stored_graph` keeps the graph of the gradient from the inner step and differentiates it again
  (reverse over reverse): the fastest here, at the price of every step's graph in memory.
- `recomputed_graph` builds that graph anew on the way back: one step's memory, however many steps.
- `forward_over_reverse` takes the directional derivative of the gradient (Pearlmutter 1994): no
  second graph. Only where all parameters are adapted, for it rests on H being symmetric, and only
  for layers whose backward pass PyTorch can differentiate forwards (not GroupNorm's).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad

from mfr.meta.functional import Losses, Objective, Params, detached, gradient_by, total

Tangent = Callable[[dict[str, Tensor]], dict[str, Tensor | None]]
"""v by adapted parameter -> H v by parameter."""


class Curvature(Protocol):
    """A gradient and what its Hessian does."""

    def __call__(
        self, objective: Objective, params: Params, adapted: Collection[str]
    ) -> tuple[Params, Losses, Tangent]:
        """Gradient by the adapted parameters, losses, and v -> H v."""
        ...


def stored_graph(
    objective: Objective, params: Params, adapted: Collection[str]
) -> tuple[Params, Losses, Tangent]:
    """Differentiate the gradient's own graph, kept from the inner step."""
    leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
    losses = objective(leaves)
    found = torch.autograd.grad(
        total(losses), [leaves[name] for name in adapted], create_graph=True
    )
    gradients = dict(zip(adapted, found, strict=True))

    def product(v: dict[str, Tensor]) -> dict[str, Tensor | None]:
        # A gradient that is constant in the parameters has no graph: its row of H is 0.
        rows = [name for name in v if gradients[name].requires_grad]
        if not rows:
            return {}
        columns = torch.autograd.grad(
            [gradients[name] for name in rows],
            list(leaves.values()),
            [v[name] for name in rows],
            allow_unused=True,
        )
        return dict(zip(leaves, columns, strict=True))

    # Handed out without their graph, which lives on in `product` alone and is freed with it.
    return {name: g.detach() for name, g in gradients.items()}, detached(losses), product


def recomputed_graph(
    objective: Objective, params: Params, adapted: Collection[str]
) -> tuple[Params, Losses, Tangent]:
    """Build the gradient's graph when it is needed, and drop it at once."""
    gradients, losses = gradient_by(objective, params, adapted)

    def product(v: dict[str, Tensor]) -> dict[str, Tensor | None]:
        return stored_graph(objective, params, adapted)[2](v)

    return gradients, losses, product


def forward_over_reverse(
    objective: Objective, params: Params, adapted: Collection[str]
) -> tuple[Params, Losses, Tangent]:
    """Differentiate the gradient forwards, in the direction v."""
    if set(adapted) != set(params):
        raise ValueError("forward over reverse needs all parameters to be adapted")
    # A stack's parameters may be one in memory, which dual numbers do not allow.
    leaves = {name: p.detach().contiguous().requires_grad_() for name, p in params.items()}
    losses = objective(leaves)
    found = torch.autograd.grad(total(losses), list(leaves.values()))

    def product(v: dict[str, Tensor]) -> dict[str, Tensor | None]:
        with forward_ad.dual_level():
            duals = {
                name: forward_ad.make_dual(leaf, v[name]) if name in v else leaf
                for name, leaf in leaves.items()
            }
            gradients = torch.autograd.grad(total(objective(duals)), list(duals.values()))
            return {
                name: forward_ad.unpack_dual(g).tangent
                for name, g in zip(duals, gradients, strict=True)
            }

    return dict(zip(leaves, found, strict=True)), detached(losses), product
