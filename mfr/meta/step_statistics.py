"""Running statistics of their own for each inner step (MAML++, Antoniou et al., ICLR 2019).

The alternative to the transductive rule of MAML's paper (`forward_isolated`: every pass, in
evaluation too, normalises with its own batch). Activations drift from inner step to inner step, so
one running mean for all of them fits none; here each step has one, and the query another.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mfr.meta.functional import Losses, Objective, Params, Task
from mfr.meta.supervised import Loss
from mfr.meta.tasks.batch import TaskBatch


class StepStatistics:
    """The buffers of a network, once for each inner step and once for the query.

    The network's mode says what they are for. In training mode a pass normalises with its own batch
    and moves its step's statistics; in evaluation mode (``network.eval()``) it normalises with
    them, whatever stands in its batch, and moves nothing. The network's own buffers never change.

    Tasks are taken one by one: each moves the statistics after the one before. The first call of an
    objective moves them, not another on the way back through the inner loop.

    Args:
        network: whose buffers all steps begin with.
        steps: inner steps in training; further ones share the last one's statistics.

    Attributes:
        values: (steps + 1, ...) by the buffer's name; the last row is the query's.
    """

    def __init__(self, network: nn.Module, steps: int) -> None:
        if steps < 1:
            raise ValueError("statistics by inner step need at least one step")
        self._steps = steps
        self.values: dict[str, Tensor] = {
            name: torch.stack([buffer.detach()] * (steps + 1))
            for name, buffer in network.named_buffers()
        }

    def one_by_one(self, network: nn.Module, loss: Loss, batch: TaskBatch) -> Iterator[Task]:
        """The batch's tasks, as `mfr.meta.supervised.one_by_one` but by these statistics."""
        for x, y, query_x, query_y in zip(*batch, strict=True):

            def at(step: int, x: Tensor = x, y: Tensor = y) -> Objective:
                return self._objective(network, loss, x, y, min(step, self._steps - 1))

            yield Task(
                support=at(0),
                query=self._objective(network, loss, query_x, query_y, self._steps),
                steps=at,
            )

    def settle(self, adapted: nn.Module) -> nn.Module:
        """Give an adapted copy the query's statistics and set it to normalise with them."""
        with torch.no_grad():
            for name, buffer in adapted.named_buffers():
                buffer.copy_(self.values[name][-1])
        return adapted.eval()

    def _objective(
        self, network: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor, row: int
    ) -> Objective:
        moved = False

        def objective(params: Params) -> Losses:
            nonlocal moved
            # Copies, for autograd holds on to what a pass was given.
            buffers = {name: value[row].clone() for name, value in self.values.items()}
            outputs = functional_call(network, {**buffers, **params}, (inputs,))
            if not moved:
                for name, buffer in buffers.items():
                    self.values[name][row] = buffer.detach()
                moved = True
            return {"loss": loss(outputs, targets)}

        return objective
