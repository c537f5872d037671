"""How many tasks to run at once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from mfr.errors import MfrError
from mfr.meta.adml import AttackableTask
from mfr.meta.curvature import stored_graph
from mfr.meta.derivatives import differentiating
from mfr.meta.functional import forward_isolated, parameters_of
from mfr.meta.supervised import Loss, one_by_one, stacked
from mfr.meta.tasks.batch import TaskBatch

AT_ONCE: Final = 2**22
"""How many values one pass over a stack of tasks may keep for derivatives: 16 MiB of float32."""


class Batching:
    """Makes tasks of batches, in stacks or one by one.

    A small task spends its time on launching operations rather than on arithmetic, and a stack
    launches each operation once for all its tasks. A large task spends its time on arithmetic and
    memory traffic: there a stack gains nothing, and needs memory for every task in it. The size of
    a task is measured as the number of values that autograd keeps during one pass over its larger
    side, with parameters of its own: mostly activations in a convolutional network, mostly weights
    in a multi-layer perceptron. As many tasks are stacked as keep no more than ``at_once`` values
    together; if not even two do, tasks are taken one by one.

    Memory grows with every task of a stack, while time falls less and less: 32 Omniglot tasks of 5
    images took 556 ms one by one, 403 in stacks of 4, 315 of 8, 296 of 11, 292 of 16 and 277 all at
    once (one thread), and 24, 52, 74, 95, 119 and 214 MiB. The default stacks 11 of these. The
    choice depends on shapes alone, so it is the same in every run and on every machine; it is made
    by one pass when a shape is first seen.

    Stacks run under `torch.func.vmap`, which some modules do not (recurrent layers, checkpointing,
    what changes a buffer by hand). The first stack of a shape is tried beforehand, with second
    derivatives; if it fails, tasks of that shape are taken one by one, and a warning says so once.

    Args:
        network: any module.
        loss: of one task's outputs and targets.
        at_once: how many values one pass over a stack of tasks may keep.
    """

    def __init__(self, network: nn.Module, loss: Loss, *, at_once: int = AT_ONCE) -> None:
        self._network, self._loss, self._at_once = network, loss, at_once
        self._sizes: dict[torch.Size, int] = {}
        self._stacks = True

    def __call__(self, batch: TaskBatch) -> Iterator[AttackableTask]:
        """The batch's tasks, in order."""
        tasks = len(batch.support_inputs)
        largest = max(batch.support_inputs, batch.query_inputs, key=lambda side: side.shape[1])
        shape = largest.shape[1:]
        if shape not in self._sizes:
            self._sizes[shape] = self._at_once // max(_kept(self._network, largest[0]), 1)
            if min(tasks, self._sizes[shape]) >= 2 and not self._can_stack(batch):
                self._sizes[shape] = 1
        size = min(tasks, self._sizes[shape])
        if size < 2:
            yield from one_by_one(self._network, self._loss, batch)
            return
        stacks = -(-tasks // size)  # of nearly equal size
        for part in zip(*(tensor.tensor_split(stacks) for tensor in batch), strict=True):
            yield stacked(self._network, self._loss, TaskBatch(*part))

    def _can_stack(self, batch: TaskBatch) -> bool:
        """Whether a stack of the batch's first two tasks can be differentiated twice."""
        task = stacked(self._network, self._loss, TaskBatch(*(side[:2] for side in batch)))
        params = {
            name: p.detach().expand(2, *p.shape) for name, p in parameters_of(self._network).items()
        }
        try:
            with torch.random.fork_rng(), differentiating():
                gradients, _, product = stored_graph(task.support, params, list(params))
                product(gradients)
        except (RuntimeError, ValueError, TypeError, MfrError) as error:
            if self._stacks:
                self._stacks = False
                reason = str(error.__cause__ or error).split("\n")[0]
                warnings.warn(f"Tasks are taken one by one, a stack fails: {reason}", stacklevel=3)
            return False
        return True


def _kept(network: nn.Module, inputs: Tensor) -> int:
    """How many values autograd keeps during one pass, found by running one."""
    sizes = []

    def pack(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        # Not the tensor itself: a layer's output would hold its layer and be held by it, and never
        # be freed.
        return tensor.new_empty(0)

    # Dropout draws random numbers; measuring should not change those that are drawn afterwards.
    with torch.random.fork_rng(), torch.enable_grad(), saved_tensors_hooks(pack, lambda kept: kept):
        forward_isolated(network, parameters_of(network), inputs)
    return sum(sizes)
