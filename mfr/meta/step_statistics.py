"""Separate running statistics for each inner step (MAML++, Antoniou et al., ICLR 2019).

This is the alternative to the transductive rule of MAML's paper (`forward_isolated`: every pass, in
evaluation too, normalises with its own batch). Activations drift from one inner step to the next,
so that one running mean fits none of them; here each step has its own, and the query another.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mfr.meta.functional import Losses, Objective, Params, Task
from mfr.meta.substitution import substituted
from mfr.meta.supervised import Loss
from mfr.meta.tasks.batch import TaskBatch


class StepStatistics:
    """The buffers of a network, once for each inner step and once for the query.

    The network's mode decides how they are used. In training mode, a pass normalises with its own
    batch and updates the statistics of its step. In evaluation mode (``network.eval()``) it
    normalises with these statistics, whatever its batch, and updates nothing. The network's own
    buffers never change.

    Tasks are taken one by one, and each updates the statistics in turn. Only the first call of an
    objective updates them, not the one that may follow when derivatives are taken.

    Args:
        network: its buffers are the initial values for all steps.
        steps: inner steps in training; any further steps share the statistics of the last.

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
        """The batch's tasks, as by `mfr.meta.supervised.one_by_one` but with these statistics."""
        for x, y, query_x, query_y in zip(*batch, strict=True):

            def at(step: int, x: Tensor = x, y: Tensor = y) -> Objective:
                return self._objective(network, loss, x, y, min(step, self._steps - 1))

            yield Task(
                support=at(0),
                query=self._objective(network, loss, query_x, query_y, self._steps),
                steps=at,
            )

    def settle(self, adapted: nn.Module) -> nn.Module:
        """Give an adapted copy the query's statistics, and let it normalise with them."""
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
            # Copies, because autograd keeps the tensors that a pass was given.
            buffers = {name: value[row].clone() for name, value in self.values.items()}
            with substituted(network, {**buffers, **params}, layers={}):
                outputs = network(inputs)
                buffers = dict(network.named_buffers())  # a module may have put another there
            if not moved:
                for name, buffer in buffers.items():
                    self.values[name][row] = buffer.detach()
                moved = True
            return {"loss": loss(outputs, targets)}

        return objective
