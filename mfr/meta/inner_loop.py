"""The inner loop, written once: k steps on a task, and the derivative of all of them.

What an inner loop reads or changes is a dict of named tensors, its *state*: the network's
parameters and, under names of their own, whatever an update keeps (momentum) or has learned
(rates). An `Update` is a pure function of that state. The derivative of the whole loop is then one
recursion from the last step to the first (reverse mode): with theta' = u(theta, g(theta)),

    dL/dtheta = (du/dtheta)^T v + H (du/dg)^T v,    v = dL/dtheta',  H = the support loss's Hessian,

of which the first-order approximation drops the term with H. For SGD, u = theta - alpha g, this is
MAML's (I - alpha H) v (Finn et al. 2017, Eq. 1 differentiated). `mfr.meta.curvature` computes the
Hessian-vector products.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from mfr.errors import TrainingError
from mfr.meta.curvature import Curvature, HessianVectorProduct
from mfr.meta.derivatives import gradient, gradient_by
from mfr.meta.functional import Losses, Objective, Params, Task

State = dict[str, torch.Tensor]
Adapts = Callable[[str], bool]
"""Which parameters the inner loop moves, by name."""


class Update(Protocol):
    """One inner step, as a pure function of differentiable torch operations."""

    def start(self, params: Params) -> State:
        """What the update keeps beside the parameters it adapts, as it is before the first step."""
        ...

    def __call__(self, state: State, gradients: Params) -> State:
        """The new values of everything that this step changes."""
        ...

    def vjp(self, state: State, gradients: Params, cotangent: State) -> tuple[State, Params]:
        """The vector-Jacobian product of one step.

        Args:
            state: the state before the step.
            gradients: the gradients that the step took.
            cotangent: the derivatives with respect to the state after the step, including what the
                step did not change; a missing name means 0. It is not modified.

        Returns:
            The derivatives with respect to ``state`` and to ``gradients``; what they do not depend
            on is left out.
        """
        # What is counted in integers, such as steps, has no derivatives.
        state = {
            name: value.detach().requires_grad_(value.is_floating_point() or value.is_complex())
            for name, value in state.items()
        }
        smooth = [name for name, value in state.items() if value.requires_grad]
        gradients = {name: g.detach().requires_grad_() for name, g in gradients.items()}
        with torch.enable_grad():
            changed = self(state, gradients)
        before = {name: value for name, value in cotangent.items() if name not in changed}
        reached = [name for name in changed if name in cotangent and changed[name].requires_grad]
        if not reached:
            return before, {}
        found = torch.autograd.grad(
            [changed[name] for name in reached],
            [*(state[name] for name in smooth), *gradients.values()],
            [cotangent[name] for name in reached],
            allow_unused=True,
        )
        _add(before, dict(zip(smooth, found, strict=False)))
        by_gradient = zip(gradients, found[len(smooth) :], strict=True)
        return before, {name: v for name, v in by_gradient if v is not None}


def everything(name: str) -> bool:
    """Adapt every parameter."""
    return True


@dataclass(frozen=True)
class SGD(Update):
    """theta <- theta - rate * g."""

    rate: float

    def start(self, params: Params) -> State:
        """Nothing is kept."""
        return {}

    def __call__(self, state: State, gradients: Params) -> State:
        """One step."""
        return {name: state[name] - self.rate * g for name, g in gradients.items()}

    def vjp(self, state: State, gradients: Params, cotangent: State) -> tuple[State, Params]:
        """The products v and -rate v, written out because that is faster than autograd."""
        return dict(cotangent), {
            name: -self.rate * cotangent[name] for name in gradients if name in cotangent
        }


@dataclass(frozen=True)
class Momentum(Update):
    """m <- momentum * m + g, theta <- theta - rate * m, as torch.optim.SGD does."""

    rate: float
    momentum: float = 0.9

    def start(self, params: Params) -> State:
        """m = 0."""
        return {f"momentum:{name}": torch.zeros_like(p) for name, p in params.items()}

    def __call__(self, state: State, gradients: Params) -> State:
        """One step."""
        velocity = {
            name: self.momentum * state[f"momentum:{name}"] + g for name, g in gradients.items()
        }
        return {
            **{name: state[name] - self.rate * m for name, m in velocity.items()},
            **{f"momentum:{name}": m for name, m in velocity.items()},
        }


@dataclass(frozen=True)
class Step:
    """One inner step that was taken.

    Attributes:
        state: before the step.
        gradients: the gradients it took.
        hessian_product: v -> H v at that state; None in first order.
    """

    state: State
    gradients: Params
    hessian_product: HessianVectorProduct | None


@dataclass(frozen=True)
class Trajectory:
    """The inner loop as it was taken.

    Attributes:
        steps: its steps, if they were to be remembered; else empty.
        end: the state after the last step.
        losses: the losses before each step.
    """

    steps: list[Step]
    end: State
    losses: list[Losses]


def descend(
    objective_at: Callable[[int], Objective],
    state: State,
    names: Collection[str],
    update: Update,
    steps: int,
    *,
    adapts: Adapts = everything,
    curvature: Curvature | None = None,
    remember: bool = True,
) -> Trajectory:
    """Take ``steps`` inner steps.

    Args:
        objective_at: number of a step -> the objective it descends.
        state: the parameters, and whatever else the update reads; it is not modified.
        names: which names of the state are parameters of the network.
        update: the inner optimiser.
        steps: how many steps to take.
        adapts: which parameters move; gradients are computed for these alone.
        curvature: how `vjp_of` will compute Hessian-vector products; None in first order.
        remember: keep what `vjp_of` needs. Without it, memory does not grow with the number of
            steps.

    Raises:
        TrainingError: ``steps`` is negative, or there are steps and nothing to adapt.
    """
    if steps < 0:
        raise TrainingError(f"An inner loop of {steps} steps cannot be taken: ask for 0 or more.")
    adapted = [name for name in names if adapts(name)]
    if steps and not adapted:
        raise TrainingError(
            "An inner loop has nothing to adapt: "
            + (
                f"`adapts` is true of none of the names ({shortened(names)})."
                if names
                else "all parameters of the network are frozen."
            )
        )
    # Values that the state already holds, learned or carried over, are not initialised again.
    state = {**update.start({name: state[name] for name in adapted}), **state}
    state = {name: value.detach() for name, value in state.items()}
    taken, losses = [], []
    for number in range(steps):
        objective = objective_at(number)
        params = {name: state[name] for name in names}
        if curvature is None:
            gradients, step_losses, product = *gradient_by(objective, params, adapted), None
        else:
            gradients, step_losses, product = curvature(objective, params, adapted)
        if remember:
            taken.append(Step(state, gradients, product))
        losses.append(step_losses)
        with torch.no_grad():
            state = {**state, **update(state, gradients)}
    return Trajectory(taken, state, losses)


def shortened(names: Collection[str]) -> str:
    """The first names, for a message."""
    return ", ".join(list(names)[:5]) + (", ..." if len(names) > 5 else "")


def vjp_of(trajectory: Trajectory, update: Update, cotangent: State) -> State:
    """The vector-Jacobian product of a whole inner loop, by reverse mode.

    Args:
        trajectory: returned by `descend`; if it was called without ``curvature``, the result is the
            first-order approximation.
        update: the update that `descend` was called with.
        cotangent: dL/d(end state) by name; a missing name means 0.

    Returns:
        dL/d(start state) by name.
    """
    for step in reversed(trajectory.steps):
        cotangent, by_gradient = update.vjp(step.state, step.gradients, cotangent)
        if step.hessian_product is not None:
            _add(cotangent, step.hessian_product(by_gradient))
    return cotangent


def _add(sums: State, terms: Mapping[str, torch.Tensor | None]) -> None:
    for name, term in terms.items():
        if term is not None:
            sums[name] = sums[name] + term if name in sums else term


@dataclass(frozen=True)
class LookAhead:
    """The gradients of a support objective, and of a query objective after some inner steps.

    Attributes:
        support: grad L_S at theta, with respect to the adapted parameters.
        query: grad L_T, through the inner loop, with respect to everything in the state.
        support_losses: at theta.
        query_losses: at the adapted parameters.
    """

    support: Params
    query: State
    support_losses: Losses
    query_losses: Losses


def look_ahead(
    task: Task,
    state: State,
    update: Update,
    *,
    names: Collection[str],
    steps: int = 1,
    adapts: Adapts = everything,
    curvature: Curvature | None,
) -> LookAhead:
    """The gradient of L_S at theta, and that of L_T at the adapted theta, through the inner loop.

    The first is the one that the first inner step takes. The second is with respect to all of
    ``state``: theta, adapted or not, and what the update has learned. With ``curvature`` None it is
    the first-order approximation. The arguments are those of `descend`.

    Raises:
        TrainingError: ``steps`` is less than 1, or nothing is adapted.
    """
    assert task.query is not None, "a task to look ahead on has a query"
    if steps < 1:
        raise TrainingError(f"Looking ahead takes at least one inner step, not {steps}.")
    trajectory = descend(task.at, state, names, update, steps, adapts=adapts, curvature=curvature)
    # Taken out of the trajectory, whose end the backward recursion does not need.
    query, query_losses = gradient(
        task.query, {name: trajectory.end.pop(name).requires_grad_() for name in names}
    )
    back = vjp_of(trajectory, update, dict(query))
    return LookAhead(
        support={name: g.detach() for name, g in trajectory.steps[0].gradients.items()},
        query={name: back[name] for name in state if name in back},
        support_losses=trajectory.losses[0],
        query_losses=query_losses,
    )
