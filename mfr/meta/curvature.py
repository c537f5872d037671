"""Ways to compute the product of a support loss's Hessian with a vector. All of them agree.

A `Curvature` computes the gradient of an objective at some parameters, and returns a function that
multiplies the Hessian there with a vector. With respect to v, which has an entry for each adapted
parameter, the product is H v = d<g, v>/dtheta, with an entry for every parameter.

An objective that is evaluated twice sees the same random numbers and buffers both times, and moves
no running statistics the second time.

- `stored_graph` keeps the graph of the inner step's gradient and differentiates it once more
  (reverse over reverse). It is the fastest here, but holds the graphs of all inner steps in memory.
- `recomputed_graph` builds each graph again during the backward recursion: it needs the memory of
  one step, however many there are.
- `forward_over_reverse` takes the directional derivative of the gradient (Pearlmutter 1994), which
  needs no second graph. It works only where all parameters are adapted, because it relies on H
  being symmetric, and only for layers whose backward pass PyTorch can differentiate in forward mode
  (GroupNorm's it cannot).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad

from mfr.meta.closed_layers import differentiated_twice
from mfr.meta.derivatives import Circumstances, Evaluation, refusing
from mfr.meta.functional import Losses, Objective, Params, detached
from mfr.meta.substitution import Passes

HessianVectorProduct = Callable[[dict[str, Tensor]], dict[str, Tensor | None]]
"""v by adapted parameter -> H v by parameter; None where it is zero."""


class Curvature(Protocol):
    """A way to compute a gradient and, later, Hessian-vector products at the same parameters."""

    def __call__(
        self, objective: Objective, params: Params, adapted: Collection[str]
    ) -> tuple[Params, Losses, HessianVectorProduct]:
        """The gradient with respect to the adapted parameters, the losses, and v -> H v."""
        ...


def stored_graph(
    objective: Objective, params: Params, adapted: Collection[str]
) -> tuple[Params, Losses, HessianVectorProduct]:
    """Differentiate the graph of the gradient, kept since the inner step."""
    return _with_graph(objective, params, adapted, Passes())


def _with_graph(
    objective: Objective, params: Params, adapted: Collection[str], passes: Passes
) -> tuple[Params, Losses, HessianVectorProduct]:
    leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
    with differentiated_twice():
        evaluation = Evaluation(objective, leaves, passes)
        found = evaluation.gradients([leaves[name] for name in adapted], create_graph=True)
    gradients = dict(zip(adapted, found, strict=True))

    def product(v: dict[str, Tensor]) -> dict[str, Tensor | None]:
        # A gradient that does not depend on the parameters has no graph: its row of H is 0.
        rows = [name for name in v if gradients[name].requires_grad]
        if not rows:
            return {}
        with differentiated_twice(), passes.in_place(), refusing():
            columns = torch.autograd.grad(
                [gradients[name] for name in rows],
                list(leaves.values()),
                [v[name] for name in rows],
                allow_unused=True,
            )
        return dict(zip(leaves, columns, strict=True))

    # Returned without their graph, which `product` alone keeps alive and which is freed with it.
    detached_gradients = {name: g.detach() for name, g in gradients.items()}
    return detached_gradients, detached(evaluation.losses), product


def recomputed_graph(
    objective: Objective, params: Params, adapted: Collection[str]
) -> tuple[Params, Losses, HessianVectorProduct]:
    """Build the graph of the gradient when a product is asked for, and free it at once."""
    circumstances = Circumstances(params)
    leaves = {name: p.detach().requires_grad_(name in adapted) for name, p in params.items()}
    with differentiated_twice():
        first = Evaluation(objective, leaves, circumstances.passes)
        found = first.gradients([leaves[name] for name in adapted])

    def product(v: dict[str, Tensor]) -> dict[str, Tensor | None]:
        with circumstances.again() as passes:
            return _with_graph(objective, params, adapted, passes)[2](v)

    return dict(zip(adapted, found, strict=True)), detached(first.losses), product


def forward_over_reverse(
    objective: Objective, params: Params, adapted: Collection[str]
) -> tuple[Params, Losses, HessianVectorProduct]:
    """Differentiate the gradient in forward mode, in the direction v."""
    if set(adapted) != set(params):
        raise ValueError("forward over reverse needs all parameters to be adapted")
    circumstances = Circumstances(params)
    # The parameters of stacked tasks may be views of one tensor, which dual numbers do not allow.
    leaves = {name: p.detach().contiguous().requires_grad_() for name, p in params.items()}
    with differentiated_twice():
        first = Evaluation(objective, leaves, circumstances.passes)
        found = first.gradients(list(leaves.values()))

    def product(v: dict[str, Tensor]) -> dict[str, Tensor | None]:
        with differentiated_twice(), circumstances.again() as passes, forward_ad.dual_level():
            duals = {
                name: forward_ad.make_dual(leaf, v[name]) if name in v else leaf
                for name, leaf in leaves.items()
            }
            evaluation = Evaluation(objective, duals, passes)
            gradients = evaluation.gradients(list(duals.values()))
            return {
                name: forward_ad.unpack_dual(g).tangent
                for name, g in zip(duals, gradients, strict=True)
            }

    return dict(zip(leaves, found, strict=True)), detached(first.losses), product
