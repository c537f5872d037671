"""What an outer step learns from: few-shot tasks of equal shape, stacked."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class TaskBatch(NamedTuple):
    """T tasks, each with n examples to adapt on and m to judge the adaptation by.

    Attributes:
        support_inputs: (T, n, ...) float32.
        support_targets: (T, n, ...) float32 values (regression) or (T, n) int64 classes.
        query_inputs: (T, m, ...), as the support's.
        query_targets: (T, m, ...), as the support's.
    """

    support_inputs: Tensor
    support_targets: Tensor
    query_inputs: Tensor
    query_targets: Tensor


def on_device(batch: TaskBatch, device: torch.device) -> TaskBatch:
    """The batch on ``device``."""
    return TaskBatch(*(tensor.to(device, non_blocking=True) for tensor in batch))


class TaskSource(Protocol):
    """Tasks by step.

    What a source returns must be a function of its seed, the step and the task's number alone, so
    that a run can be resumed, and shared by processes that do not communicate.
    """

    def batch(self, step: int, shard: int = 0, shards: int = 1) -> TaskBatch:
        """The tasks shard, shard + shards, ... of ``step``, on the CPU.

        Over all shards together, each of the step's tasks is returned once.
        """
        ...
