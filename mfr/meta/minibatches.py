"""Classification tasks whose inner steps see all of the support, or minibatches of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mfr.meta.batching import AT_ONCE, Batching
from mfr.meta.few_shot_evaluation import TasksOf
from mfr.meta.functional import Task
from mfr.meta.tasks.batch import TaskBatch
from mfr.random_bits import RandomBits


def whole_support(network: nn.Module, *, at_once: int = AT_ONCE) -> TasksOf:
    """Tasks whose every inner step sees the whole support; ``at_once`` as in `Batching`."""
    batching = Batching(network, F.cross_entropy, at_once=at_once)
    return lambda _, batch: batching(batch)


def minibatched(
    network: nn.Module, size: int, steps: int, seed: int, *, at_once: int = AT_ONCE
) -> TasksOf:
    """Tasks whose inner steps each see ``size`` examples of the support (Reptile).

    The support is gone through in a new random order every epoch; what does not fill a minibatch at
    its end is left out.

    Args:
        network: of the tasks.
        size: of a minibatch. A support that is smaller is one minibatch; the code of Reptile's
            authors would repeat examples in it.
        steps: inner steps for which minibatches are drawn.
        seed: of the orders, which depend on the batch's number and the task's as well.
        at_once: as in `Batching`.
    """
    batching = Batching(network, F.cross_entropy, at_once=at_once)

    def tasks(number: int, batch: TaskBatch) -> Iterator[Task]:
        count, examples = batch.support_targets.shape
        each = min(size, examples)
        per_epoch = examples // each
        orders = np.stack(
            [
                RandomBits(seed, number, task, epoch).order(examples)[: per_epoch * each]
                for task in range(count)
                for epoch in range(-(-steps // per_epoch))
            ]
        ).reshape(count, -1)
        rows = torch.from_numpy(orders)[:, : steps * each].unflatten(1, (steps, each))
        rows = rows.to(batch.support_targets.device)
        own = torch.arange(count, device=rows.device)[:, None]
        parts = [
            batch._replace(
                support_inputs=batch.support_inputs[own, rows[:, step]],
                support_targets=batch.support_targets[own, rows[:, step]],
            )
            for step in range(steps)
        ]
        by_step = [list(batching(part)) for part in parts]
        for one in zip(*by_step, strict=True):
            yield replace(one[0], steps=lambda step, one=one: one[step].support)

    return tasks
