"""Meta-learning domain generalisation (Li et al., AAAI 2018, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mfr.meta.functional import Losses, Params, Task, look_ahead
from mfr.meta.mfr import ALPHA, episode_losses

QUERY_WEIGHT: Final = 1.0


@dataclass(frozen=True)
class MLDG:
    """The rule of one random split: grad of F(theta) + beta G(theta - alpha grad F(theta)).

    One domain, drawn at random each step, is meta-test; the sampler sees to that.

    Attributes:
        alpha: inner rate.
        query_weight: the paper's beta, the weight of the meta-test loss G.
        first_order: leave out second derivatives.
    """

    alpha: float = ALPHA
    query_weight: float = QUERY_WEIGHT
    first_order: bool = False

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """The gradient of one split, and its losses as ``meta_train/*``, ``meta_test/*``."""
        ahead = look_ahead(task, params, self.alpha, first_order=self.first_order)
        combined = {
            name: ahead.support[name] + self.query_weight * ahead.query[name] for name in params
        }
        return combined, episode_losses(ahead.support_losses, ahead.query_losses)
