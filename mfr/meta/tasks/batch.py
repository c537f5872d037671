"""What a step learns from: few-shot tasks of equal shape, stacked."""

from __future__ import annotations

from typing import NamedTuple, Protocol

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


class TaskSource(Protocol):
    """Tasks by step: a function of the source's seed, the step and the task's number alone."""

    def batch(self, step: int, shard: int = 0, shards: int = 1) -> TaskBatch:
        """The tasks shard, shard + shards, ... of ``step``: over all shards, each task once."""
        ...
