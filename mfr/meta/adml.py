"""Adversarial meta-learning (Yin et al., arXiv 1806.03316, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mfr.meta.attacks import FGSM, Attack
from mfr.meta.curvature import Curvature, stored_graph
from mfr.meta.functional import Losses, Objective, Params, Task, total
from mfr.meta.inner_loop import SGD, Adapts, everything, look_ahead
from mfr.meta.rule import Rule, named

ObjectiveOn = Callable[[Params, Tensor], Losses]
"""Parameters and inputs -> losses."""


@dataclass(frozen=True)
class AttackableTask(Task):
    """A task whose inputs can be replaced by adversarial ones.

    Attributes:
        support_on: the support objective as a function of its inputs too; on ``support_inputs`` it
            is ``support``.
        support_inputs: the inputs of ``support``.
        query_on: the query objective as a function of its inputs too; on ``query_inputs`` it is
            ``query``.
        query_inputs: the inputs of ``query``.
    """

    support_on: ObjectiveOn = field(kw_only=True)
    support_inputs: Tensor = field(kw_only=True)
    query_on: ObjectiveOn = field(kw_only=True)
    query_inputs: Tensor = field(kw_only=True)


@dataclass(frozen=True)
class ADML(Rule):
    """Clean queries judge adversarially adapted weights, and vice versa (Algorithm 1).

    With adversarial samples made from the support and the query,

        theta'_adv = theta - alpha1 grad L(theta, support_adv),
        theta'_clean = theta - alpha2 grad L(theta, support),
        theta <- theta - beta1 grad L(theta'_adv, query) - beta2 grad L(theta'_clean, query_adv).

    Both outer gradients are taken at theta and descended together; the paper writes two updates one
    after the other. Adversarial supports are made once, at theta, where adaptation to them starts.
    Algorithm 1 does not say at which weights adversarial queries are made: we use theta'_clean, the
    weights that they judge, as Goldblum et al. (NeurIPS 2020) do in their public code. Derivatives
    do not flow through the making of a sample.

    Attributes:
        alpha1: inner rate on adversarial samples.
        alpha2: inner rate on clean ones.
        beta1: weight of the clean queries' gradient.
        beta2: weight of the adversarial queries' gradient. The outer optimiser's rate multiplies
            both: with SGD of rate 1 they are the paper's rates.
        attack: makes the adversarial samples.
        generator: what an attack with a random start draws from: for each task first the start of
            its support, then that of its query. To resume to the bit, seed it by the step.
        steps: inner steps in training.
        first_order: leave out second derivatives.
        adapts: which parameters the inner loops move.
        curvature: how Hessian-vector products are computed.
    """

    alpha1: float = 0.01
    alpha2: float = 0.01
    beta1: float = 1.0
    beta2: float = 1.0
    attack: Attack = field(default_factory=lambda: FGSM(eps=0.1))
    generator: torch.Generator | None = None
    steps: int = 1
    first_order: bool = False
    adapts: Adapts = everything
    curvature: Curvature = stored_graph

    @property
    def inner(self) -> SGD:
        """The clean inner step."""
        return SGD(self.alpha2)

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """beta1 grad L(theta'_adv, query) + beta2 grad L(theta'_clean, query_adv).

        Losses are named ``support/*``, ``query/*`` and ``query_adversarial/*``.

        Raises:
            TypeError: the task is not an `AttackableTask`.
        """
        if not isinstance(task, AttackableTask):
            raise TypeError("ADML learns from tasks whose inputs it can attack: AttackableTask")
        query_on, query_inputs = task.query_on, task.query_inputs
        support_adv = self._attacked(task.support_on, params, task.support_inputs)

        def query_adversarial(adapted: Params) -> Losses:
            return query_on(adapted, self._attacked(query_on, adapted, query_inputs))

        on_clean, on_adversarial = (
            look_ahead(
                crossed,
                params,
                SGD(rate),
                names=params,
                steps=self.steps,
                adapts=self.adapts,
                curvature=None if self.first_order else self.curvature,
            )
            for crossed, rate in (
                (Task(_fixed(task.support_on, support_adv), task.query), self.alpha1),
                (Task(task.support, query_adversarial, task.steps), self.alpha2),
            )
        )
        combined = {
            name: self.beta1 * on_clean.query[name] + self.beta2 * on_adversarial.query[name]
            for name in params
        }
        losses = named(
            support=on_adversarial.support_losses,
            query=on_clean.query_losses,
            query_adversarial=on_adversarial.query_losses,
        )
        return combined, losses

    def _attacked(self, objective: ObjectiveOn, params: Params, inputs: Tensor) -> Tensor:
        """The inputs, changed to raise the objective at ``params``; nothing to differentiate."""
        fixed = {name: p.detach() for name, p in params.items()}
        return self.attack(lambda changed: total(objective(fixed, changed)), inputs, self.generator)


def _fixed(objective: ObjectiveOn, inputs: Tensor) -> Objective:
    return lambda params: objective(params, inputs)
