"""What the few-shot classification runs share: network, tasks and accuracy on held-out tasks."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from few_shot_training import Figures, TasksOf, after_steps, summary
from torch import Tensor, nn
from torch.nn import functional as F

from mfr.meta.batching import Batching
from mfr.meta.functional import Params, Task, forward_isolated
from mfr.meta.learner import MetaLearner
from mfr.meta.stacking import forward_stacked
from mfr.meta.tasks.batch import TaskBatch, TaskSource
from mfr.random_bits import RandomBits


def four_blocks(ways: int, channels: int = 1, size: int = 28, *, reptile: bool) -> nn.Sequential:
    """MAML's Omniglot network: 4 x (3x3 convolution of 64, stride 2; batch norm; ReLU), linear.

    In details not in the papers it follows each one's public code. MAML's: the last map is averaged
    over space, the linear weights start normal with deviation 1, batch norm has no scale, and its
    shift is meta-learned but not adapted (`not_normalisation`). Reptile's: the map is flattened,
    the linear weights start as Glorot's, batch norm has both, and all is adapted. Convolutions need
    no bias: batch norm would take it away.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for block in range(4):
        convolution = nn.Conv2d(64 if block else channels, 64, 3, 2, padding=1, bias=False)
        nn.init.xavier_uniform_(convolution.weight)
        # 0.001 is TensorFlow's default. Every pass normalises with its own batch.
        norm = nn.BatchNorm2d(64, eps=1e-3, track_running_stats=False)
        norm.weight.requires_grad_(reptile)
        layers |= {f"conv{block}": convolution, f"norm{block}": norm, f"relu{block}": nn.ReLU()}
        size = (size + 1) // 2
    if not reptile:
        layers["mean"] = nn.AdaptiveAvgPool2d(1)
    layers["flat"] = nn.Flatten()
    head = nn.Linear(64 * size * size if reptile else 64, ways)
    nn.init.zeros_(head.bias)
    if reptile:
        nn.init.xavier_uniform_(head.weight)
    else:
        nn.init.normal_(head.weight)
    layers["head"] = head
    return nn.Sequential(layers)


def not_normalisation(name: str) -> bool:
    """What MAML's code adapts."""
    return not name.startswith("norm")


def classification(network: nn.Module) -> TasksOf:
    """Every step a batch's whole support."""
    batching = Batching(network, F.cross_entropy)
    return lambda _, batch: batching(batch)


def minibatched(network: nn.Module, size: int, steps: int, seed: int) -> TasksOf:
    """Tasks whose inner steps each see ``size`` of the support, in a new order every epoch."""
    batching = Batching(network, F.cross_entropy)

    def tasks(number: int, batch: TaskBatch) -> Iterator[Task]:
        count, examples = batch.support_targets.shape
        # A support smaller than a minibatch is one; the authors' code would repeat images in it.
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
        own = torch.arange(count)[:, None]
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


def adapted_each(learner: MetaLearner, tasks: Iterable[Task], steps: int) -> Iterator[Params]:
    """The parameters of every task after ``steps`` inner steps, of stacked ones too."""
    for task in tasks:
        params = after_steps(learner, task, (steps,))[steps]
        for number in range(task.stack or 1):
            yield params if task.stack is None else {n: p[number] for n, p in params.items()}


def single_tasks(batch: TaskBatch) -> Iterator[TaskBatch]:
    """The batch's tasks, without the first axis."""
    for part in zip(*batch, strict=True):
        yield TaskBatch(*part)


def judged(
    learner: MetaLearner,
    source: TaskSource,
    tasks: TasksOf,
    count: int,
    steps: int,
    measure: Callable[[Params, TaskBatch], dict[str, float]],
) -> Figures:
    """What ``measure`` says of ``count`` tasks of the source and the parameters adapted to them."""
    found: dict[str, list[float]] = defaultdict(list)
    number = done = 0
    while done < count:
        batch = source.batch(number)
        each = adapted_each(learner, tasks(number, batch), steps)
        for params, one in zip(each, single_tasks(batch), strict=True):
            for key, value in measure(params, one).items():
                found[key].append(value)
            done += 1
        number += 1
    return {key: summary(torch.tensor(values[:count])) for key, values in found.items()}


def accuracies(network: nn.Module, params: Params, task: TaskBatch) -> dict[str, float]:
    """Accuracy on the query, normalised together (transductive) or each on its own.

    On its own means in one batch with the support, as Reptile's code does it.
    """
    with torch.no_grad():
        together = forward_isolated(network, params, task.query_inputs)
        queries = len(task.query_inputs)
        support = task.support_inputs.expand(queries, *task.support_inputs.shape)
        alone = forward_stacked(
            network,
            {name: p.expand(queries, *p.shape) for name, p in params.items()},
            torch.cat([support, task.query_inputs.unsqueeze(1)], 1),
        )[:, -1]
    return {
        "transductive": share(together, task.query_targets),
        "inductive": share(alone, task.query_targets),
    }


def share(outputs: Tensor, targets: Tensor) -> float:
    """How many of the outputs are right, of all."""
    return float((outputs.argmax(-1) == targets).float().mean())
