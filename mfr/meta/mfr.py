"""Meta Face Recognition (Guo et al., CVPR 2020, Eqs. 4-6, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mfr.meta.curvature import Curvature, stored_graph
from mfr.meta.functional import Losses, Params, Task
from mfr.meta.inner_loop import SGD, look_ahead
from mfr.meta.rule import Rule, named

ALPHA: Final = 4e-4
BETA: Final = 4e-4
GAMMA: Final = 0.5


@dataclass(frozen=True)
class MFR(Rule):
    """The rule of one episode: gamma grad L_S(theta) + (1 - gamma) grad_theta L_T(theta').

    ``task.support`` is L_S on the meta-train domains (Eq. 4), theta' = theta - alpha grad L_S
    (Eq. 5's step), ``task.query`` is L_T on the meta-test domain.

    Batch normalisation is decided by the forward pass of the objectives: every pass normalises with
    its own batch. Running statistics, which are used in deployment only, are updated by the
    meta-train pass at theta, and never by a meta-test pass or at theta'.

    Attributes:
        alpha: inner rate; 0 is the paper's ablation without looking ahead.
        gamma: weight of meta-train against meta-test, in [0, 1].
        first_order: the paper's approximation, grad_theta L_T ~ grad L_T at theta'.
        curvature: how Hessian-vector products are computed.
    """

    alpha: float = ALPHA
    gamma: float = GAMMA
    first_order: bool = False
    curvature: Curvature = stored_graph

    @property
    def inner(self) -> SGD:
        """Eq. 5's step."""
        return SGD(self.alpha)

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """One episode's term in Eq. 6, and its losses as ``meta_train/*`` and ``meta_test/*``."""
        curvature = None if self.first_order else self.curvature
        return split_gradient(task, params, self.inner, (self.gamma, 1 - self.gamma), curvature)


def split_gradient(
    task: Task,
    params: Params,
    update: SGD,
    weights: tuple[float, float],
    curvature: Curvature | None,
) -> tuple[Params, Losses]:
    """w_S grad L_S(theta) + w_T grad_theta L_T(theta') for one split of the domains, and losses."""
    # At rate 0 the adapted parameters do not depend on the Hessian.
    curvature = curvature if update.rate != 0 else None
    ahead = look_ahead(task, params, update, names=params, curvature=curvature)
    on_support, on_query = weights
    combined = {
        name: on_support * ahead.support[name] + on_query * ahead.query[name] for name in params
    }
    return combined, named(meta_train=ahead.support_losses, meta_test=ahead.query_losses)
