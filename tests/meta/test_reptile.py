"""Reptile against torch's own optimisers in a hand-written loop."""

import copy

import pytest
import torch
from torch import nn

from mfr.meta.functional import Task, forward_isolated, parameters_of
from mfr.meta.inner_loop import SGD, Momentum
from mfr.meta.learner import MetaLearner
from mfr.meta.reptile import Adam, Reptile, carried_moments
from mfr.meta.supervised import one_by_one, stacked
from tests.meta.networks import (
    NORMALISATIONS,
    assert_same,
    head_only,
    mean_gradient,
    small_batch,
    small_network,
    snapshot,
)

CROSS_ENTROPY = nn.functional.cross_entropy
OPTIMISERS = {
    "adam": (
        Adam(0.01),
        lambda params: torch.optim.Adam(params, lr=0.01, betas=(0.0, 0.999)),
    ),
    "adam with momentum": (
        Adam(0.01, beta1=0.9),
        lambda params: torch.optim.Adam(params, lr=0.01, betas=(0.9, 0.999)),
    ),
    "sgd": (SGD(0.1), lambda params: torch.optim.SGD(params, lr=0.1)),
    "momentum": (Momentum(0.1, 0.9), lambda params: torch.optim.SGD(params, 0.1, momentum=0.9)),
}


def trained_copy(network, make_optimiser, minibatches, adapts=None):
    """A copy after one torch step a minibatch."""
    twin = copy.deepcopy(network)
    moving = [p for name, p in twin.named_parameters() if adapts is None or adapts(name)]
    optimiser = make_optimiser(moving)
    for inputs, targets in minibatches:
        optimiser.zero_grad()
        CROSS_ENTROPY(twin(inputs), targets).backward()
        optimiser.step()
    return twin


def difference(network, twin):
    theirs = dict(twin.named_parameters())
    return {name: p.detach() - theirs[name].detach() for name, p in network.named_parameters()}


@pytest.mark.parametrize("adapts", [None, head_only])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_the_difference_is_that_of_torchs_optimiser(normalisation, optimiser, adapts):
    # A bias before a normalisation has gradients of rounding errors alone, which Adam makes steps
    # of; without it every entry can be compared.
    network, batch = small_network(normalisation), small_batch(3)
    network.body[0] = nn.Conv2d(2, 4, 3, padding=1, bias=False).double()
    update, make = OPTIMISERS[optimiser]
    rule = Reptile(5, update, **({"adapts": adapts} if adapts else {}))
    expected = {name: torch.zeros_like(p) for name, p in parameters_of(network).items()}
    for inputs, targets in zip(batch.support_inputs, batch.support_targets, strict=True):
        twin = trained_copy(network, make, [(inputs, targets)] * 5, adapts)
        for name, moved in difference(network, twin).items():
            expected[name] += moved / 3
    one = mean_gradient(rule, network, one_by_one(network, CROSS_ENTROPY, batch))
    assert_same(one, expected, 1e-8)
    assert_same(mean_gradient(rule, network, [stacked(network, CROSS_ENTROPY, batch)]), one, 1e-8)


def minibatch_task(network, inputs, targets, size):
    """Step i learns from the i-th minibatch, in turn."""

    def at(step):
        rows = torch.arange(step * size, (step + 1) * size) % len(inputs)
        return lambda p: {
            "loss": CROSS_ENTROPY(forward_isolated(network, p, inputs[rows]), targets[rows])
        }

    return Task(at(0), steps=at)


def test_minibatches_are_the_tasks_steps():
    network, batch = small_network("group"), small_batch(1, shots=8)
    inputs, targets = batch.support_inputs[0], batch.support_targets[0]
    rows = [torch.tensor(r) for r in ([0, 1, 2], [3, 4, 5], [6, 7, 0], [1, 2, 3])]
    minibatches = [(inputs[r], targets[r]) for r in rows]
    update, make = OPTIMISERS["adam"]
    task = minibatch_task(network, inputs, targets, 3)
    found, losses = Reptile(4, update).meta_gradient(parameters_of(network), task)
    assert_same(found, difference(network, trained_copy(network, make, minibatches)), 1e-8)
    before_last = trained_copy(network, make, minibatches[:-1])
    last = CROSS_ENTROPY(before_last(minibatches[-1][0]), minibatches[-1][1])
    assert float(losses["support/loss"]) == pytest.approx(float(last.detach()))


@pytest.mark.parametrize("tasks", [1, 4])
def test_an_outer_step_of_rate_epsilon_goes_that_far_to_the_adapted_weights(tasks):
    """Algorithm 1 with one task a step, Algorithm 2 with several: the mean of where they end."""
    network, batch = small_network("layer"), small_batch(tasks)
    update, make = OPTIMISERS["sgd"]
    ends = [
        trained_copy(network, make, [side] * 3)
        for side in zip(batch.support_inputs, batch.support_targets, strict=True)
    ]
    epsilon = 0.25
    expected = {
        name: p.detach()
        + epsilon * (sum(dict(end.named_parameters())[name] for end in ends) / tasks - p).detach()
        for name, p in network.named_parameters()
    }
    learner = MetaLearner(
        network, Reptile(3, update), torch.optim.SGD(network.parameters(), lr=epsilon)
    )
    learner.step(one_by_one(network, CROSS_ENTROPY, batch))
    assert_same(parameters_of(network), expected)


def test_moments_start_anew_in_every_inner_loop():
    network, batch = small_network("group"), small_batch(1)
    task = next(one_by_one(network, CROSS_ENTROPY, batch))
    before = snapshot(network)
    rule = Reptile(2)
    first, _ = rule.meta_gradient(parameters_of(network), task)
    again, _ = rule.meta_gradient(parameters_of(network), task)
    assert_same(again, first, 0)
    assert_same(snapshot(network), before, 0)


def torch_tasks_in_a_row(network, batch, steps, adapts=None):
    """The authors' loop: one optimiser for all tasks, and after each only theta goes back."""
    twin = copy.deepcopy(network)
    theta = {name: p.detach().clone() for name, p in twin.named_parameters()}
    moving = [p for name, p in twin.named_parameters() if adapts is None or adapts(name)]
    optimiser = torch.optim.Adam(moving, lr=0.01, betas=(0.0, 0.999))
    for inputs, targets in zip(batch.support_inputs, batch.support_targets, strict=True):
        for _ in range(steps):
            optimiser.zero_grad()
            CROSS_ENTROPY(twin(inputs), targets).backward()
            optimiser.step()
        with torch.no_grad():
            ends = {name: p.clone() for name, p in twin.named_parameters()}
            for name, p in twin.named_parameters():
                theta[name] += 0.25 * (ends[name] - theta[name])
                p.copy_(theta[name])
    moments = {
        name: optimiser.state[p]["exp_avg_sq"]
        for name, p in twin.named_parameters()
        if p in optimiser.state
    }
    return theta, moments


@pytest.mark.parametrize("adapts", [None, head_only])
def test_carried_moments_go_from_task_to_task_as_in_the_authors_code(adapts):
    network, batch = small_network("layer"), small_batch(4)
    expected, moments = torch_tasks_in_a_row(network, batch, 3, adapts)
    chosen = {"adapts": adapts} if adapts else {}
    update = Adam(0.01)
    rule = Reptile(3, update, moments=carried_moments(network, update, **chosen), **chosen)
    outer = torch.optim.SGD(
        [
            {"params": network.parameters(), "lr": 0.25},
            {"params": list(rule.own_parameters.values()), "lr": 1.0},
        ]
    )
    learner = MetaLearner(network, rule, outer)
    for task in one_by_one(network, CROSS_ENTROPY, batch):
        learner.step([task])
    assert_same(parameters_of(network), expected, 1e-8)
    weight = 1 - 0.999**12
    assert rule.moments["adam:second_weight"].item() == pytest.approx(weight, rel=1e-9)
    assert_same({name: rule.moments[f"second:{name}"] for name in moments}, moments, 1e-8)


def test_a_stack_leaves_the_mean_of_its_tasks_moments():
    network, batch = small_network("layer"), small_batch(3)
    update = Adam(0.01)
    rule = Reptile(2, update, moments=carried_moments(network, update))
    warm = MetaLearner(
        network,
        rule,
        torch.optim.SGD([*network.parameters(), *rule.own_parameters.values()], lr=1.0),
    )
    warm.step(one_by_one(network, CROSS_ENTROPY, small_batch(1)))
    one, _ = warm.meta_gradient(one_by_one(network, CROSS_ENTROPY, batch))
    alone = [
        rule.meta_gradient(warm.parameters, task)[0]
        for task in one_by_one(network, CROSS_ENTROPY, batch)
    ]
    assert_same(one, {name: sum(found[name] for found in alone) / 3 for name in one}, 1e-8)
    stack, _ = warm.meta_gradient([stacked(network, CROSS_ENTROPY, batch)])
    assert_same(stack, one, 1e-8)


def test_adapting_goes_on_from_the_carried_moments():
    network, batch = small_network("layer"), small_batch(2)
    update = Adam(0.01)
    rule = Reptile(3, update, moments=carried_moments(network, update))
    outer = torch.optim.SGD([{"params": list(rule.own_parameters.values()), "lr": 1.0}])
    learner = MetaLearner(network, rule, outer)  # theta stays
    learner.step(one_by_one(network, CROSS_ENTROPY, batch))
    task = next(one_by_one(network, CROSS_ENTROPY, small_batch(1)))
    end, _ = rule.meta_gradient(learner.parameters, task)
    adapted = parameters_of(learner.adapt(task, 3))
    theta = parameters_of(network)
    assert_same({name: theta[name] - adapted[name] for name in theta}, {n: end[n] for n in theta})
    fresh, _ = Reptile(3, update).meta_gradient(theta, task)
    assert any(not torch.allclose(fresh[name], end[name], atol=1e-4) for name in theta)
