"""Model-agnostic meta-learning (Finn et al., ICML 2017, Algorithms 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

from mfr.meta.curvature import Curvature, stored_graph
from mfr.meta.functional import Losses, Params, Task
from mfr.meta.inner_loop import SGD, Adapts, Update, everything, look_ahead
from mfr.meta.rule import Rule, named


@dataclass(frozen=True)
class MAML(Rule):
    """d/dtheta L_query(theta_k), theta_{i+1} = theta_i - alpha grad L_support(theta_i) (Eq. 1).

    Rates: the objective defines the support loss; ours are means over all support images (N ways
    times K shots), so alpha = 0.4 acts on that mean. MAML's public code divides by K alone in its
    inner loop: its rate of 0.4 with N ways is our rate of 0.4 N.

    Batch normalisation is decided by the forward pass of the objectives: `forward_isolated` is the
    paper's transductive rule, by which every pass normalises with its own batch and keeps nothing.

    Attributes:
        alpha: the inner rate, unless ``update`` is given.
        steps: inner steps in training. Adaptation to a new task may take more.
        first_order: leave out second derivatives (the paper's section 5.2).
        adapts: which parameters the inner loop moves, by name: all of them, the head alone (ANIL,
            Raghu et al. 2020) or the body alone (BOIL, Oh et al. 2021). All are meta-learned.
        update: the inner optimiser, any pure update, if it is not SGD(alpha).
        curvature: how Hessian-vector products are computed.
    """

    alpha: float = 0.01
    steps: int = 1
    first_order: bool = False
    adapts: Adapts = everything
    update: Update | None = None
    curvature: Curvature = stored_graph

    @property
    def inner(self) -> Update:
        """The inner optimiser."""
        return SGD(self.alpha) if self.update is None else self.update

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """The task's term in Algorithm 1, line 8; losses as ``support/*`` and ``query/*``."""
        ahead = look_ahead(
            task,
            params,
            self.inner,
            names=params,
            steps=self.steps,
            adapts=self.adapts,
            curvature=None if self.first_order else self.curvature,
        )
        return ahead.query, named(support=ahead.support_losses, query=ahead.query_losses)
