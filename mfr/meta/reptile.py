"""Reptile (Nichol et al., arXiv 1803.02999, Algorithms 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from mfr.errors import TrainingError
from mfr.meta.functional import Losses, Params, Task, parameters_of
from mfr.meta.inner_loop import Adapts, State, Update, descend, everything
from mfr.meta.rule import Rule, named


@dataclass(frozen=True)
class Adam(Update):
    """Adam (Kingma & Ba 2015) as a pure update; Reptile's inner loop sets beta1 = 0.

    Moments start at 0 and are bias-corrected: each is divided by the sum of the weights that the
    gradients have in it, which is 1 - beta^t after t steps. That sum is kept beside the moment, so
    the correction is right for averages of moments too.
    """

    rate: float = 1e-3
    beta1: float = 0.0
    beta2: float = 0.999
    eps: float = 1e-8

    def start(self, params: Params) -> State:
        """Both moments 0, with no gradient in them."""
        none = next(iter(params.values())).new_zeros(())
        state = {f"second:{name}": torch.zeros_like(p) for name, p in params.items()}
        state["adam:second_weight"] = none
        if self.beta1:
            state |= {f"first:{name}": torch.zeros_like(p) for name, p in params.items()}
            state["adam:first_weight"] = none.clone()
        return state

    def __call__(self, state: State, gradients: Params) -> State:
        """One step."""
        second_weight = self.beta2 * state["adam:second_weight"] + (1 - self.beta2)
        changed = {"adam:second_weight": second_weight}
        if self.beta1:
            changed["adam:first_weight"] = self.beta1 * state["adam:first_weight"] + (
                1 - self.beta1
            )
        for name, g in gradients.items():
            second = self.beta2 * state[f"second:{name}"] + (1 - self.beta2) * g * g
            changed[f"second:{name}"] = second
            first = g
            if self.beta1:
                changed[f"first:{name}"] = (
                    self.beta1 * state[f"first:{name}"] + (1 - self.beta1) * g
                )
                first = changed[f"first:{name}"] / _by_task(changed["adam:first_weight"], g)
            scale = _root(second / _by_task(second_weight, g)) + self.eps
            changed[name] = state[name] - self.rate * first / scale
        return changed


def _by_task(number: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A number, or one for each task of a stack, with as many dimensions as ``like``."""
    return number.reshape(number.shape + (1,) * (like.ndim - number.ndim))


def _root(squares: torch.Tensor) -> torch.Tensor:
    """Square roots with derivative 0 at 0: gradients of exactly 0 are common, and would be NaN."""
    positive = squares > 0
    return torch.where(positive, squares, 1.0).sqrt() * positive


@dataclass(frozen=True)
class Reptile(Rule):
    """theta - theta_k after k inner steps; with an outer SGD of rate epsilon this is Algorithm 2.

    One task in a step is the serial version (Algorithm 1), several are the batched one: theta moves
    by the mean of their differences. The paper lets epsilon fall linearly to 0. No second
    derivatives are taken.

    The paper does not say where the inner optimiser's moments start. In its authors' code they are
    never reset: only theta is, after each task. `carried_moments` gives the rule such moments. They
    are then learned like theta, with m - m_k as their gradient, and an outer rate of 1 makes them
    the mean of what the step's tasks left (the authors' tasks hand them on one to the next).
    Without them, every inner loop starts from moments of 0, and Adam's first step moves every
    weight by the full rate, whatever the size of its gradient.

    Whether test images are normalised together (transduction) or each with the support alone is
    decided by the forward pass of the evaluation.

    Attributes:
        steps: k. If the steps have different objectives (minibatches), the task's ``steps`` does.
        update: the inner optimiser; the paper's is Adam with beta1 = 0.
        adapts: which parameters the inner loop moves.
        moments: what the update carries from task to task; made by `carried_moments`, changed by
            the outer step, which for them has to be plain SGD with a rate of at most 1.
    """

    steps: int = 5
    update: Update = field(default_factory=Adam)
    adapts: Adapts = everything
    moments: Params = field(default_factory=dict)

    @property
    def own_parameters(self) -> Params:
        """The moments that are carried from task to task."""
        return self.moments

    @property
    def inner(self) -> Update:
        """The inner optimiser, starting from the moments that are carried."""
        return Resumed(self.update, self.moments) if self.moments else self.update

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """theta - theta_k, and the losses of the last inner step as ``support/*``.

        Raises:
            TrainingError: ``steps`` is less than 1, or nothing is adapted.
        """
        if self.steps < 1:
            raise TrainingError(f"Reptile takes at least one inner step, not {self.steps}.")
        trajectory = descend(
            task.at,
            params,
            [name for name in params if name not in self.moments],
            self.update,
            self.steps,
            adapts=self.adapts,
            remember=False,
        )
        difference = {name: (p - trajectory.end[name]).detach() for name, p in params.items()}
        return difference, named(support=trajectory.losses[-1])


@dataclass(frozen=True)
class Resumed(Update):
    """An update that starts from what it kept before.

    Attributes:
        update: the update.
        kept: what it kept, by name.
    """

    update: Update
    kept: Params

    def start(self, params: Params) -> State:
        """What was kept, the same for every task of a stack."""
        return {**self.update.start(params), **self.kept}

    def __call__(self, state: State, gradients: Params) -> State:
        """One step."""
        return self.update(state, gradients)


def carried_moments(network: nn.Module, update: Update, adapts: Adapts = everything) -> Params:
    """What ``update`` keeps for the parameters that it adapts, to be carried from task to task.

    Raises:
        TrainingError: it keeps integers, of which no mean over tasks can be learned.
    """
    adapted = {name: p for name, p in parameters_of(network).items() if adapts(name)}
    start = update.start(adapted)
    for name, kept in start.items():
        if not kept.is_floating_point():
            raise TrainingError(
                f"{name}, which the update keeps, is of {kept.dtype} and cannot be carried from "
                "task to task: keep it as a floating-point number."
            )
    return {name: kept.requires_grad_() for name, kept in start.items()}
