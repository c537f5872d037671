"""Whole networks of closed layers: meta-gradients, batching, and passes that leave no trace."""

import copy
import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mfr.meta.batching import Batching
from mfr.meta.functional import forward_isolated, parameters_of
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.supervised import one_by_one, stacked
from mfr.meta.tasks.batch import TaskBatch


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def small_network(pool):
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=1 if pool else 2, padding=1),
        nn.BatchNorm2d(4),
        nn.Softplus(),
        nn.MaxPool2d(2) if pool else nn.Identity(),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.PReLU(4),
        nn.Flatten(),
        nn.Linear(4 * 9, 3),
    ).double()


def small_batch(tasks=3):
    images = torch.randn(2, tasks, 6, 2, 6, 6, dtype=torch.float64)
    targets = torch.randint(0, 3, (2, tasks, 6))
    return TaskBatch(images[0], targets[0], images[1], targets[1])


@pytest.mark.parametrize("pool", [True, False])
def test_meta_gradient_of_a_convolutional_network(pool):
    network, batch = small_network(pool), small_batch()
    learner = MetaLearner(network, MAML(0.3, steps=2), torch.optim.SGD(network.parameters(), 1.0))
    loop, _ = learner.meta_gradient(one_by_one(network, F.cross_entropy, batch))
    stack, _ = learner.meta_gradient([stacked(network, F.cross_entropy, batch)])
    chosen, _ = learner.meta_gradient(Batching(network, F.cross_entropy)(batch))
    for name, g in loop.items():
        torch.testing.assert_close(stack[name], g, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(chosen[name], g, rtol=1e-9, atol=1e-12)

    direction = {name: torch.randn_like(p) for name, p in network.named_parameters()}

    def outcome(step):
        moved = copy.deepcopy(network)
        with torch.no_grad():
            for name, p in moved.named_parameters():
                p += step * direction[name]
        other = MetaLearner(moved, learner.rule, torch.optim.SGD(moved.parameters(), 1.0))
        return other.meta_gradient(one_by_one(moved, F.cross_entropy, batch))[1]["query/loss"]

    step = 1e-5
    slope = (outcome(step) - outcome(-step)) / (2 * step)
    exact = float(sum((loop[name] * d).sum() for name, d in direction.items()))
    assert abs(slope - exact) < 1e-5 * max(1.0, abs(exact))


def test_batching_stacks_what_fits_and_leaves_no_trace():
    network, batch = small_network(pool=False), small_batch(tasks=8)
    network.append(nn.Dropout())
    before = copy.deepcopy(network.state_dict())
    state = torch.get_rng_state()

    def stacks(**options):
        return [task.stack for task in Batching(network, F.cross_entropy, **options)(batch)]

    assert stacks() == [8]
    assert stacks(at_once=1) == [None] * 8
    several = stacks(at_once=8000)
    assert 1 < len(several) < 8 and sum(several) == 8 and max(several) - min(several) <= 1
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Watched(nn.Module):
    """A ReLU that remembers, weakly, what it gave: a tensor that autograd saves."""

    def forward(self, x):
        y = x.relu()
        self.given = weakref.ref(y)
        return y


def test_the_look_at_a_task_frees_what_it_saw():
    """At once, not when the cycle collector comes by: it is as large as a whole pass."""
    watched = Watched()
    network = nn.Sequential(nn.Conv2d(2, 4, 3), watched, nn.Flatten(), nn.Linear(64, 3)).double()
    collects = gc.isenabled()
    gc.disable()
    try:
        tasks = list(Batching(network, F.cross_entropy)(small_batch()))
        assert tasks and watched.given() is None
    finally:
        if collects:
            gc.enable()


def test_isolated_forward_is_pytorchs_and_keeps_buffers():
    network = small_network(pool=True)
    images = torch.randn(4, 2, 6, 6, dtype=torch.float64)
    before = copy.deepcopy(network.state_dict())
    ours = forward_isolated(network, parameters_of(network), images)
    assert all(torch.equal(v, before[name]) for name, v in network.state_dict().items())
    torch.testing.assert_close(ours, network(images), rtol=1e-10, atol=1e-10)
