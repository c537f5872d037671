"""Meta-learning domain generalisation (Li et al., AAAI 2018, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mfr.meta.curvature import Curvature, stored_graph
from mfr.meta.functional import Losses, Params, Task
from mfr.meta.inner_loop import SGD
from mfr.meta.mfr import ALPHA, split_gradient
from mfr.meta.rule import Rule

QUERY_WEIGHT: Final = 1.0


@dataclass(frozen=True)
class MLDG(Rule):
    """The rule of one random split: grad of F(theta) + beta G(theta - alpha grad F(theta)).

    One domain, which the sampler draws at random in each step, is meta-test.

    Attributes:
        alpha: inner rate.
        query_weight: the paper's beta, the weight of the meta-test loss G.
        first_order: leave out second derivatives.
        curvature: how Hessian-vector products are computed.
    """

    alpha: float = ALPHA
    query_weight: float = QUERY_WEIGHT
    first_order: bool = False
    curvature: Curvature = stored_graph

    @property
    def inner(self) -> SGD:
        """The step on F."""
        return SGD(self.alpha)

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """The gradient of one split, and its losses as ``meta_train/*``, ``meta_test/*``."""
        curvature = None if self.first_order else self.curvature
        return split_gradient(task, params, self.inner, (1.0, self.query_weight), curvature)
