"""Meta Face Recognition (Guo et al., CVPR 2020, Eqs. 4-6, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mfr.meta.functional import Losses, Params, Task, look_ahead

ALPHA: Final = 4e-4
BETA: Final = 4e-4
GAMMA: Final = 0.5


@dataclass(frozen=True)
class MFR:
    """The rule of one episode: gamma grad L_S(theta) + (1 - gamma) grad_theta L_T(theta').

    ``task.support`` is L_S on the meta-train domains (Eq. 4), theta' = theta - alpha grad L_S
    (Eq. 5's step), ``task.query`` is L_T on the meta-test domain.

    Batch normalisation, by the objectives' choice of forward pass: every pass normalises with its
    own batch; running statistics, which only deployment uses, move on the meta-train pass at theta
    and never on a meta-test pass or at theta'.

    Attributes:
        alpha: inner rate; 0 is the paper's ablation without a look ahead.
        gamma: weight of meta-train against meta-test, in [0, 1].
        first_order: the paper's approximation, grad_theta L_T ~ grad L_T at theta'.
    """

    alpha: float = ALPHA
    gamma: float = GAMMA
    first_order: bool = False

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """Eq. 6's summand for one episode, and its losses as ``meta_train/*``, ``meta_test/*``."""
        ahead = look_ahead(task, params, self.alpha, first_order=self.first_order)
        combined = {
            name: self.gamma * ahead.support[name] + (1 - self.gamma) * ahead.query[name]
            for name in params
        }
        return combined, episode_losses(ahead.support_losses, ahead.query_losses)


def episode_losses(meta_train: Losses, meta_test: Losses) -> Losses:
    """Losses of both sides under names that tell them apart."""
    return {
        **{f"meta_train/{name}": loss for name, loss in meta_train.items()},
        **{f"meta_test/{name}": loss for name, loss in meta_test.items()},
    }
