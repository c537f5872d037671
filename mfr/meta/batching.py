"""How many tasks to run at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from mfr.meta.adml import AttackableTask
from mfr.meta.functional import forward_isolated, parameters_of
from mfr.meta.supervised import Loss, one_by_one, stacked
from mfr.meta.tasks.batch import TaskBatch

AT_ONCE: Final = 2**22
"""Values that one pass over all the tasks of a stack may keep for its derivatives: 16 MiB."""


class Batching:
    """Makes tasks of batches: in stacks, or one by one.

    A small task's time goes into starting its operations, not into arithmetic, and a stack starts
    each but once; a large task's time is arithmetic and memory, where a stack wins nothing and
    needs memory for every task in it. The measure of a task is the number of values autograd keeps
    of one pass over its larger side, at a copy of the parameters of its own: activations of
    convolutions in the main, weights in a multi-layer perceptron. Tasks are stacked until that
    number times the tasks reaches ``at_once``; where not even two fit, they are taken one by one.
    Memory grows with every task of a stack, and time falls ever less: 32 Omniglot tasks of 5 images
    took 556 ms one by one, 403 in stacks of 4, 315 of 8, 296 of 11, 292 of 16 and 277 all at once
    (one thread), and 24, 52, 74, 95, 119 and 214 MiB. The default makes stacks of 11 of these.
    The choice depends on shapes alone, so it is the same in every run and on every machine; it is
    made by one pass when a shape is first seen.

    Args:
        network: any module; one that is stacked has to run under `torch.func.vmap`.
        loss: of one task's outputs and targets.
        at_once: values that one pass over all the tasks of a stack may keep.
    """

    def __init__(self, network: nn.Module, loss: Loss, *, at_once: int = AT_ONCE) -> None:
        self._network, self._loss, self._at_once = network, loss, at_once
        self._sizes: dict[torch.Size, int] = {}

    def __call__(self, batch: TaskBatch) -> Iterator[AttackableTask]:
        """The batch's tasks."""
        tasks = len(batch.support_inputs)
        largest = max(batch.support_inputs, batch.query_inputs, key=lambda side: side.shape[1])
        shape = largest.shape[1:]
        if shape not in self._sizes:
            self._sizes[shape] = self._at_once // max(_kept(self._network, largest[0]), 1)
        size = min(tasks, self._sizes[shape])
        if size < 2:
            yield from one_by_one(self._network, self._loss, batch)
            return
        stacks = -(-tasks // size)  # of nearly equal size
        for part in zip(*(tensor.tensor_split(stacks) for tensor in batch), strict=True):
            yield stacked(self._network, self._loss, TaskBatch(*part))


def _kept(network: nn.Module, inputs: Tensor) -> int:
    """How many values autograd keeps of one pass; found by running one."""
    sizes = []

    def pack(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        # Not the tensor: a layer's output would hold the layer that holds it, and never be freed.
        return tensor.new_empty(0)

    # Dropout draws numbers; a look at the sizes should not change what is drawn afterwards.
    with torch.random.fork_rng(), torch.enable_grad(), saved_tensors_hooks(pack, lambda kept: kept):
        forward_isolated(network, parameters_of(network), inputs)
    return sum(sizes)
