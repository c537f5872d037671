import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mfr.meta import minibatches
from mfr.meta.few_shot_evaluation import (
    accuracies,
    accuracy,
    adapted_each,
    after_steps,
    evaluate,
    single_tasks,
    summarise,
)
from mfr.meta.functional import Task, parameters_of
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.minibatches import whole_support
from mfr.meta.supervised import one_by_one, stacked
from mfr.meta.tasks.batch import TaskBatch


class Blobs:
    """Tasks of two classes, apart by their means."""

    def __init__(self, tasks, support=6, query=4):
        self.tasks, self.sizes = tasks, (support, query)

    def batch(self, step, shard=0, shards=1):
        generator = torch.Generator().manual_seed(step)
        sides = []
        for size in self.sizes:
            targets = torch.arange(size).remainder(2).repeat(self.tasks, 1)
            noise = torch.randn(self.tasks, size, 3, generator=generator)
            sides += [noise + 3 * targets.unsqueeze(-1), targets]
        return TaskBatch(*sides)


@pytest.fixture
def learner():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    return MetaLearner(network, MAML(0.3), torch.optim.SGD(network.parameters(), lr=1))


def test_parameters_after_some_steps_are_those_of_adapting(learner):
    batch = Blobs(2).batch(0)
    task = next(one_by_one(learner.network, F.cross_entropy, batch))
    found = after_steps(learner, task, (0, 2, 3))
    for steps, params in found.items():
        expected = parameters_of(learner.adapt(task, steps))
        for name, p in expected.items():
            torch.testing.assert_close(params[name], p)


def test_stacked_tasks_are_adapted_as_single_ones(learner):
    batch = Blobs(3).batch(0)
    alone = list(adapted_each(learner, one_by_one(learner.network, F.cross_entropy, batch), 2))
    together = list(adapted_each(learner, [stacked(learner.network, F.cross_entropy, batch)], 2))
    assert len(alone) == len(together) == 3
    for one, other in zip(alone, together, strict=True):
        for name, p in one.items():
            torch.testing.assert_close(other[name], p, rtol=1e-4, atol=1e-6)


def test_single_tasks_have_no_first_axis():
    batch = Blobs(3).batch(0)
    parts = list(single_tasks(batch))
    assert len(parts) == 3
    assert torch.equal(parts[1].query_inputs, batch.query_inputs[1])


def test_as_many_tasks_are_judged_as_were_asked_for(learner):
    seen = []

    def measure(params, task):
        seen.append(task.support_inputs)
        return {"number": float(len(seen))}

    figures = evaluate(
        learner, Blobs(4), whole_support(learner.network), count=6, steps=1, measure=measure
    )
    assert len(seen) == 8  # two whole batches
    assert figures["number"]["tasks"] == 6
    assert figures["number"]["mean"] == 3.5
    assert torch.equal(seen[5], Blobs(4).batch(1).support_inputs[1])


def test_a_summary_has_a_mean_an_interval_and_a_median():
    values = torch.tensor([1.0, 2.0, 3.0, 6.0])
    found = summarise(values)
    assert (found["mean"], found["median"], found["tasks"], found["diverged"]) == (3, 2, 4, 0)
    assert found["interval"] == pytest.approx(1.96 * float(values.double().std()) / 2)
    diverged = summarise(torch.tensor([1.0, float("nan"), 2.0]))
    assert (diverged["mean"], diverged["interval"], diverged["diverged"]) == (
        float("inf"),
        float("inf"),
        1,
    )
    assert diverged["median"] == 2


def test_accuracy_is_the_share_of_largest_outputs_that_are_right():
    outputs = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert accuracy(outputs, torch.tensor([1, 0, 0, 0])) == 0.75


def test_inductive_accuracy_sees_one_query_at_a_time(learner):
    network = learner.network
    params = parameters_of(network)
    (task,) = single_tasks(Blobs(1, support=6, query=5).batch(3))
    found = accuracies(network, params, task)
    alone = [network(torch.cat([task.support_inputs, one[None]]))[-1] for one in task.query_inputs]
    assert found["inductive"] == accuracy(torch.stack(alone), task.query_targets)
    assert found["transductive"] == accuracy(network(task.query_inputs), task.query_targets)


class Recording:
    """Stands in for `Batching`: a task whose objective is the examples it is of."""

    def __init__(self, network, loss, *, at_once):
        pass

    def __call__(self, batch):
        yield Task(lambda params: (batch.support_inputs, batch.support_targets))


@pytest.mark.parametrize(("size", "per_epoch"), [(2, 3), (4, 1), (6, 1), (9, 1)])
def test_minibatches_go_through_the_support_once_an_epoch(monkeypatch, size, per_epoch):
    monkeypatch.setattr(minibatches, "Batching", Recording)
    batch = TaskBatch(
        *(torch.arange(12).reshape(2, 6), torch.arange(12).reshape(2, 6) % 5),
        *(torch.zeros(2, 1), torch.zeros(2, 1)),
    )

    def drawn(seed, number=0):
        (task,) = minibatches.minibatched(None, size, 2 * per_epoch, seed)(number, batch)
        return [task.at(step)({}) for step in range(2 * per_epoch)]

    steps = drawn(seed=3)
    each = min(size, 6)
    for inputs, targets in steps:
        assert inputs.shape == (2, each)
        assert torch.equal(inputs % 5, targets)
        assert (inputs[0] < 6).all() and (inputs[1] >= 6).all()
    for epoch in (steps[:per_epoch], steps[per_epoch:]):
        examples = torch.cat([inputs for inputs, _ in epoch], 1)
        assert all(len(set(row.tolist())) == per_epoch * each for row in examples)
    orders = [
        [inputs.tolist() for inputs, _ in one]
        for one in (steps, drawn(3), drawn(4), drawn(3, number=1))
    ]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2] and orders[0] != orders[3]
    assert orders[0][0] != orders[0][per_epoch]  # another order in the next epoch
