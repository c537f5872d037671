"""Batches of labelled examples as tasks: one by one, or all in one stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from mfr.meta.adml import AttackableTask, ObjectiveOn
from mfr.meta.functional import Params, forward_isolated
from mfr.meta.stacking import forward_stacked
from mfr.meta.tasks.batch import TaskBatch

Loss = Callable[[Tensor, Tensor], Tensor]
"""Outputs and targets of one task -> its scalar loss."""
Forward = Callable[[nn.Module, Params, Tensor], Tensor]


def one_by_one(
    network: nn.Module, loss: Loss, batch: TaskBatch, forward: Forward = forward_isolated
) -> Iterator[AttackableTask]:
    """The batch's tasks one by one: with the least memory, and best if one task occupies all cores.

    Every pass normalises with its own batch and leaves running statistics alone (the transductive
    rule), unless ``forward`` does otherwise.
    """
    for number in range(len(batch.support_inputs)):
        part = TaskBatch(*(tensor[number] for tensor in batch))
        yield _task(lambda p, x, y: loss(forward(network, p, x), y), part, None)


def stacked(network: nn.Module, loss: Loss, batch: TaskBatch) -> AttackableTask:
    """All tasks of the batch as one stack, by the same rules as `one_by_one`."""

    def loss_of_task(outputs: Tensor, targets: Tensor) -> Tensor:
        # Inside vmap, autocast does not promote what a loss needs in float32.
        if outputs.dtype in (torch.bfloat16, torch.float16):
            outputs = outputs.float()
        return loss(outputs, targets)

    return _task(
        lambda p, x, y: forward_stacked(network, p, x, y, then=loss_of_task),
        batch,
        len(batch.support_inputs),
    )


def _task(
    on: Callable[[Params, Tensor, Tensor], Tensor], batch: TaskBatch, stack: int | None
) -> AttackableTask:
    def objective(targets: Tensor) -> ObjectiveOn:
        return lambda params, inputs: {"loss": on(params, inputs, targets)}

    support_on, query_on = objective(batch.support_targets), objective(batch.query_targets)
    return AttackableTask(
        support=lambda params: support_on(params, batch.support_inputs),
        query=lambda params: query_on(params, batch.query_inputs),
        stack=stack,
        support_on=support_on,
        support_inputs=batch.support_inputs,
        query_on=query_on,
        query_inputs=batch.query_inputs,
    )
