"""What a meta learner is: the one verb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mfr.meta.functional import Losses, Params, Task, gradient
from mfr.meta.inner_loop import SGD, Adapts, Update, everything


class Rule(Protocol):
    """A meta learner: turns parameters and a task into a meta-gradient."""

    @property
    def own_parameters(self) -> Params:
        """What is learned beside the network, such as inner rates; leaves that require gradients.

        They come to `meta_gradient` among the parameters, under these names.
        """
        return {}

    @property
    def adapts(self) -> Adapts:
        """Which of the network's parameters an inner loop moves."""
        return everything

    @property
    def inner(self) -> Update:
        """The inner optimiser, for adapting to a new task once training is over."""
        ...

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """The gradient to descend, one a parameter, and the losses by name."""
        ...


@dataclass(frozen=True)
class PlainGradient(Rule):
    """No meta learning: the gradient of the support objective.

    Attributes:
        rate: of the fine-tuning steps that adapt the result.
    """

    rate: float = 0.01

    @property
    def inner(self) -> SGD:
        """Plain fine-tuning."""
        return SGD(self.rate)

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """Gradient of ``task.support`` at ``params``; the query is not looked at."""
        return gradient(task.support, params)


def named(**sides: Losses) -> Losses:
    """Losses of several sides under names that tell them apart: ``support/loss``."""
    return {
        f"{side}/{name}": loss for side, losses in sides.items() for name, loss in losses.items()
    }
