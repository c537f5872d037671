"""The inner loop, written once: k steps on a task, and the way its derivatives come back.

What an inner loop changes or reads is a dict of named tensors, its *state*: the network's
parameters, and under names of their own whatever an update keeps (momentum) or has learned (rates).
An `Update` is a pure function on it. The derivative of the whole loop is then one recursion, from
the last step to the first (reverse mode): with theta' = u(theta, g(theta)),

    dL/dtheta = (du/dtheta)^T v + H (du/dg)^T v,    v = dL/dtheta',  H = the support loss's Hessian,

and first order is the same without H. For SGD, u = theta - alpha g, this is MAML's
(I - alpha H) v (Finn et al. 2017, Eq. 1 differentiated). How H acts on a vector is `mfr.meta.
curvature`'s affair.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from mfr.meta.curvature import Curvature, Tangent
from mfr.meta.functional import Losses, Objective, Params, Task, gradient, gradient_by

State = dict[str, torch.Tensor]
Adapts = Callable[[str], bool]
"""Which parameters the inner loop moves, by name."""


class Update(Protocol):
    """One inner step as a pure function, of torch operations only: it is differentiated."""

    def start(self, params: Params) -> State:
        """What the update keeps beside the parameters it adapts, before the first step."""
        ...

    def __call__(self, state: State, gradients: Params) -> State:
        """The new values of what this step changes."""
        ...

    def pull_back(self, state: State, gradients: Params, cotangent: State) -> tuple[State, Params]:
        """Derivatives by the state before a step and by its gradients, of what is not constant.

        Args:
            state: as the step found it.
            gradients: as the step found them.
            cotangent: derivatives by the state after it, changed by the step or not; what is
                missing is 0. It is not changed.
        """
        state = {name: value.detach().requires_grad_() for name, value in state.items()}
        gradients = {name: g.detach().requires_grad_() for name, g in gradients.items()}
        with torch.enable_grad():
            changed = self(state, gradients)
        reached = [name for name in changed if name in cotangent]
        found = torch.autograd.grad(
            [changed[name] for name in reached],
            [*state.values(), *gradients.values()],
            [cotangent[name] for name in reached],
            allow_unused=True,
        )
        before = {name: value for name, value in cotangent.items() if name not in changed}
        _add(before, dict(zip(state, found, strict=False)))
        by_gradient = zip(gradients, found[len(state) :], strict=True)
        return before, {name: v for name, v in by_gradient if v is not None}


def everything(name: str) -> bool:
    """Every parameter is adapted."""
    return True


@dataclass(frozen=True)
class SGD(Update):
    """theta <- theta - rate * g."""

    rate: float

    def start(self, params: Params) -> State:
        """Nothing."""
        return {}

    def __call__(self, state: State, gradients: Params) -> State:
        """One step."""
        return {name: state[name] - self.rate * g for name, g in gradients.items()}

    def pull_back(self, state: State, gradients: Params, cotangent: State) -> tuple[State, Params]:
        """v and -rate v; short enough to be worth more than autograd's detour."""
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
    """One inner step: the state before it, the gradient it took and how H acts there."""

    state: State
    gradients: Params
    hessian: Tangent | None


@dataclass(frozen=True)
class Trajectory:
    """The inner loop as it went; ``steps`` only where they were to be remembered."""

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
        objective_at: step -> the objective it descends.
        state: parameters, and what else the update reads; not changed.
        names: which of the state are the network's parameters.
        update: the inner optimiser.
        steps: how many.
        adapts: which parameters move; gradients are taken for these alone.
        curvature: how Hessian-vector products will be taken on the way back; None in first order.
        remember: keep what `ascend` needs. Where nothing comes back memory then does not grow
            with the number of steps.
    """
    adapted = [name for name in names if adapts(name)]
    # What the state has already, learned or carried, the update does not start.
    state = {**update.start({name: state[name] for name in adapted}), **state}
    state = {name: value.detach() for name, value in state.items()}
    taken, losses = [], []
    for number in range(steps):
        objective = objective_at(number)
        params = {name: state[name] for name in names}
        if curvature is None:
            gradients, step_losses, hessian = *gradient_by(objective, params, adapted), None
        else:
            gradients, step_losses, hessian = curvature(objective, params, adapted)
        if remember:
            taken.append(Step(state, gradients, hessian))
        losses.append(step_losses)
        with torch.no_grad():
            state = {**state, **update(state, gradients)}
    return Trajectory(taken, state, losses)


def ascend(trajectory: Trajectory, update: Update, cotangent: State) -> State:
    """Carry derivatives by the end state back to derivatives by the state before the first step.

    Args:
        trajectory: made by `descend`; with ``curvature`` None the result is first order.
        update: the one it was made with.
        cotangent: dL/d(end state) by name; what is missing is 0.

    Returns:
        dL/d(start state) by name.
    """
    for step in reversed(trajectory.steps):
        cotangent, by_gradient = update.pull_back(step.state, step.gradients, cotangent)
        if step.hessian is not None:
            _add(cotangent, step.hessian(by_gradient))
    return cotangent


def _add(sums: State, terms: Mapping[str, torch.Tensor | None]) -> None:
    for name, term in terms.items():
        if term is not None:
            sums[name] = sums[name] + term if name in sums else term


@dataclass(frozen=True)
class LookAhead:
    """Gradients of a support objective and of a query objective some inner steps further on."""

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
    """Gradients of L_S at theta by theta, and of L_T at theta after the inner loop by the state.

    The first is what the first inner step takes anyway. The second is by all of ``state``: theta,
    adapted or not, and what the update has learned. With ``curvature`` None it is first order.
    """
    assert task.query is not None, "a task to look ahead on has a query"
    trajectory = descend(task.at, state, names, update, steps, adapts=adapts, curvature=curvature)
    # Handed over, not lent: on the way back nobody needs the end any more.
    query, query_losses = gradient(
        task.query, {name: trajectory.end.pop(name).requires_grad_() for name in names}
    )
    back = ascend(trajectory, update, dict(query))
    return LookAhead(
        support={name: g.detach() for name, g in trajectory.steps[0].gradients.items()},
        query={name: back[name] for name in state if name in back},
        support_losses=trajectory.losses[0],
        query_losses=query_losses,
    )
