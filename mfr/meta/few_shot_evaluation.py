"""How good a learner is on held-out tasks: figures with intervals, over tasks adapted to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from mfr.meta.derivatives import differentiating
from mfr.meta.functional import Params, Task, forward_isolated, parameters_of
from mfr.meta.inner_loop import descend
from mfr.meta.learner import MetaLearner
from mfr.meta.stacking import forward_stacked
from mfr.meta.tasks.batch import TaskBatch, TaskSource, on_device

Figures = dict[str, dict[str, float]]
"""Name of a figure -> its mean over tasks, 95% interval, median and more; see `summarise`."""
TasksOf = Callable[[int, TaskBatch], Iterable[Task]]
"""Number of a batch and the batch -> tasks, in order; a stack of tasks counts as its tasks."""
Measure = Callable[[Params, TaskBatch], dict[str, float]]
"""Parameters adapted to a task, and the task without its first axis -> figures of that task."""


@differentiating()
def after_steps(learner: MetaLearner, task: Task, counts: Sequence[int]) -> dict[int, Params]:
    """The network's parameters after each of ``counts`` inner steps on a task or a stack."""
    params = parameters_of(learner.network)
    if task.stack is not None:
        params = {name: p.detach().expand(task.stack, *p.shape) for name, p in params.items()}
    rule = learner.rule
    path = descend(task.at, params, params, rule.inner, max(counts), adapts=rule.adapts)
    states = [*(step.state for step in path.steps), path.end]
    return {count: {name: states[count][name].detach() for name in params} for count in counts}


def adapted_each(learner: MetaLearner, tasks: Iterable[Task], steps: int) -> Iterator[Params]:
    """The parameters of every task after ``steps`` inner steps, those of a stack one by one."""
    for task in tasks:
        params = after_steps(learner, task, (steps,))[steps]
        for number in range(task.stack or 1):
            yield params if task.stack is None else {n: p[number] for n, p in params.items()}


def single_tasks(batch: TaskBatch) -> Iterator[TaskBatch]:
    """The batch's tasks one by one, each without the first axis."""
    for part in zip(*batch, strict=True):
        yield TaskBatch(*part)


def evaluate(
    learner: MetaLearner,
    source: TaskSource,
    tasks: TasksOf,
    *,
    count: int,
    steps: int,
    measure: Measure,
) -> Figures:
    """What ``measure`` finds on ``count`` tasks of ``source`` after adapting to each.

    Args:
        learner: is not changed.
        source: of the held-out tasks, which are taken from its batch 0 on.
        tasks: makes tasks of a batch.
        count: how many tasks.
        steps: inner steps to adapt with.
        measure: of one task.
    """
    device = next(learner.network.parameters()).device
    found: dict[str, list[float]] = defaultdict(list)
    number = done = 0
    while done < count:
        batch = on_device(source.batch(number), device)
        each = adapted_each(learner, tasks(number, batch), steps)
        for params, one in zip(each, single_tasks(batch), strict=True):
            for name, value in measure(params, one).items():
                found[name].append(value)
            done += 1
        number += 1
    return {name: summarise(torch.tensor(values[:count])) for name, values in found.items()}


def summarise(values: Tensor) -> dict[str, float]:
    """The mean of (n,) values over tasks, half the width of its 95% interval, and the median.

    Tasks that diverged (NaN or infinite) count as infinite, so the mean and its interval are too.
    """
    values = values.double().nan_to_num(nan=float("inf"), posinf=float("inf"))
    half = (1.96 * values.std() / len(values) ** 0.5).nan_to_num(nan=float("inf"))
    figures = {"mean": values.mean(), "interval": half, "median": values.median()}
    diverged = int(values.isinf().sum())
    return {name: float(value) for name, value in figures.items()} | {
        "tasks": len(values),
        "diverged": diverged,
    }


def accuracies(network: nn.Module, params: Params, task: TaskBatch) -> dict[str, float]:
    """The accuracy on a task's query, normalised in two ways.

    'transductive' normalises all of the query together. 'inductive' normalises each query example
    in one batch with the support alone, as the code of Reptile's authors does.
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
        "transductive": accuracy(together, task.query_targets),
        "inductive": accuracy(alone, task.query_targets),
    }


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The share of (n, classes) outputs whose largest is the target's, in [0, 1]."""
    return float((outputs.argmax(-1) == targets).float().mean())
