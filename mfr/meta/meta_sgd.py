"""Meta-SGD: learning to learn quickly (Li et al., arXiv 1707.09835, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from mfr.meta.curvature import Curvature, stored_graph
from mfr.meta.functional import Losses, Params, Task, parameters_of
from mfr.meta.inner_loop import Adapts, State, Update, everything, look_ahead
from mfr.meta.rule import Rule, named

INITIAL_RATES: Final = (0.005, 0.1)
_RATE: Final = "rate:"


@dataclass(frozen=True)
class LearnedSGD(Update):
    """theta <- theta - alpha o g, with a separate rate for every weight.

    Attributes:
        rates: alpha by name, used where the state does not hold rates to be learned.
    """

    rates: Params

    def start(self, params: Params) -> State:
        """Nothing is kept beside the rates."""
        return {}

    def __call__(self, state: State, gradients: Params) -> State:
        """One step."""
        return {
            name: state[name] - state.get(_RATE + name, self.rates[_RATE + name]) * g
            for name, g in gradients.items()
        }


@dataclass(frozen=True)
class MetaSGD(Rule):
    """MAML whose inner rates are parameters: d/d(theta, alpha) L_query(theta - alpha o grad L_s).

    alpha has the shape of theta and may have any sign, so a step need not follow the gradient.

    Attributes:
        rates: alpha by the name of its parameter; made by `initial_rates`, changed by outer steps.
        steps: inner steps in training; the paper takes one.
        first_order: leave out second derivatives; the gradient with respect to alpha remains.
        adapts: which parameters the inner loop moves.
        curvature: how Hessian-vector products are computed.
    """

    rates: Params
    steps: int = 1
    first_order: bool = False
    adapts: Adapts = everything
    curvature: Curvature = stored_graph

    @property
    def own_parameters(self) -> Params:
        """The rates."""
        return self.rates

    @property
    def inner(self) -> LearnedSGD:
        """The learned inner step."""
        return LearnedSGD(self.rates)

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """The gradient of Eq. 2 for one task, with respect to theta and alpha; losses as MAML's."""
        ahead = look_ahead(
            task,
            params,
            self.inner,
            names=[name for name in params if name not in self.rates],
            steps=self.steps,
            adapts=self.adapts,
            curvature=None if self.first_order else self.curvature,
        )
        return ahead.query, named(support=ahead.support_losses, query=ahead.query_losses)


def initial_rates(network: nn.Module, seed: int) -> Params:
    """A rate for every trainable weight, uniform in [0.005, 0.1] as in the paper's section 3.2."""
    generator = torch.Generator().manual_seed(seed)
    low, high = INITIAL_RATES
    return {
        _RATE + name: (low + (high - low) * torch.rand(p.shape, generator=generator, dtype=p.dtype))
        .to(p.device)
        .requires_grad_()
        for name, p in parameters_of(network).items()
    }
