"""Tasks stacked in one against the same tasks one by one."""

import pytest
import torch
from torch import nn

from mfr.meta.functional import forward_isolated, parameters_of
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.stacking import forward_stacked
from mfr.meta.supervised import one_by_one, stacked
from mfr.meta.tasks.batch import TaskBatch
from tests.meta.networks import (
    NORMALISATIONS,
    assert_same,
    mean_gradient,
    small_batch,
    small_network,
    snapshot,
)

CROSS_ENTROPY = nn.functional.cross_entropy


def scattered(network, tasks):
    """Parameters of their own for each task."""
    torch.manual_seed(9)
    return {
        name: p.detach() + 0.1 * torch.randn(tasks, *p.shape, dtype=p.dtype)
        for name, p in parameters_of(network).items()
    }


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_the_pass_is_that_of_each_task_at_its_own_parameters(normalisation, training):
    network, inputs = small_network(normalisation).train(training), small_batch(3).support_inputs
    if normalisation == "batch":
        network.body[1].running_mean.uniform_(-1, 1)
        network.body[1].running_var.uniform_(0.5, 2)
    before = snapshot(network)
    params = scattered(network, 3)
    found = forward_stacked(network, params, inputs)
    for number in range(3):
        own = {name: p[number] for name, p in params.items()}
        expected = forward_isolated(network, own, inputs[number])
        torch.testing.assert_close(found[number], expected)
    assert_same(snapshot(network), before, 0)


@pytest.mark.parametrize("tasks", [1, 5])
def test_a_stack_counts_as_its_tasks(tasks):
    """Also beside a task that is not stacked: the mean is over tasks."""
    network, batch = small_network(), small_batch(tasks + 1)
    rule = MAML(0.2, 2)
    expected = mean_gradient(rule, network, one_by_one(network, CROSS_ENTROPY, batch))
    most, last = TaskBatch(*(t[:-1] for t in batch)), TaskBatch(*(t[-1:] for t in batch))
    mixed = [
        stacked(network, CROSS_ENTROPY, most),
        *one_by_one(network, CROSS_ENTROPY, last),
    ]
    assert mixed[0].stack == tasks
    assert_same(mean_gradient(rule, network, mixed), expected)


def test_losses_are_the_means_over_tasks():
    network, batch = small_network(), small_batch(4)
    learner = MetaLearner(network, MAML(0.2), torch.optim.SGD(network.parameters(), lr=0.1))
    _, expected = learner.meta_gradient(one_by_one(network, CROSS_ENTROPY, batch))
    _, found = learner.meta_gradient([stacked(network, CROSS_ENTROPY, batch)])
    assert found == pytest.approx(expected)
    assert set(found) == {"support/loss", "query/loss"}


def test_regression_tasks_stack_too():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    batch = TaskBatch(*torch.randn(4, 3, 5, 1, dtype=torch.float64))
    loss = nn.functional.mse_loss
    expected = mean_gradient(MAML(0.1, 2), network, one_by_one(network, loss, batch))
    assert_same(mean_gradient(MAML(0.1, 2), network, [stacked(network, loss, batch)]), expected)


def test_frozen_parameters_are_shared_and_stay():
    network, batch = small_network(), small_batch(3)
    network.body[0].requires_grad_(False)
    before = snapshot(network)
    expected = mean_gradient(MAML(0.2), network, one_by_one(network, CROSS_ENTROPY, batch))
    found = mean_gradient(MAML(0.2), network, [stacked(network, CROSS_ENTROPY, batch)])
    assert not any(name.startswith("body.0") for name in found)
    assert_same(found, expected)
    assert_same(snapshot(network), before, 0)
