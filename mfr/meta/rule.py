"""What a meta learner is: a rule that turns parameters and a task into a meta-gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mfr.meta.derivatives import gradient
from mfr.meta.functional import Losses, Params, Task
from mfr.meta.inner_loop import SGD, Adapts, Update, everything


class Rule(Protocol):
    """A meta learner: it turns parameters and a task into a meta-gradient.

    A rule holds no state that changes. What it learns beside the network it offers as
    `own_parameters`; the outer loop, batching over tasks, stacking, precision, clipping and the
    all-reduce between processes are `MetaLearner`'s. It takes a stack of tasks like a single one.
    """

    @property
    def own_parameters(self) -> Params:
        """What is learned beside the network, such as inner rates: leaves that require gradients.

        `meta_gradient` receives them among the parameters, under these names.
        """
        return {}

    @property
    def adapts(self) -> Adapts:
        """Which of the network's parameters an inner loop moves."""
        return everything

    @property
    def inner(self) -> Update:
        """The inner optimiser, for adapting to new tasks after training."""
        ...

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """The gradient to descend, with an entry for each parameter, and the losses by name."""
        ...


@dataclass(frozen=True)
class PlainGradient(Rule):
    """No meta learning: the gradient of the support objective.

    Attributes:
        rate: the learning rate of the fine-tuning steps that adapt the network to a new task.
    """

    rate: float = 0.01

    @property
    def inner(self) -> SGD:
        """Plain fine-tuning."""
        return SGD(self.rate)

    def meta_gradient(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """The gradient of ``task.support`` at ``params``; the query is not used."""
        return gradient(task.support, params)


def named(**sides: Losses) -> Losses:
    """The losses of several sides in one dict, named by their side: ``support/loss``."""
    return {
        f"{side}/{name}": loss for side, losses in sides.items() for name, loss in losses.items()
    }
