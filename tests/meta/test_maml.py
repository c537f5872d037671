"""MAML's meta-gradient: of its stated objective, for every inner loop it can be asked for."""

import math

import pytest
import torch
from torch import nn

from mfr.meta.curvature import forward_over_reverse, recomputed_graph, stored_graph
from mfr.meta.functional import Task, parameters_of
from mfr.meta.inner_loop import SGD, Momentum, everything
from mfr.meta.maml import MAML
from mfr.meta.reptile import Adam
from mfr.meta.supervised import one_by_one
from tests.meta.networks import (
    NORMALISATIONS,
    adapted_query_loss,
    assert_differentiates,
    assert_same,
    body_only,
    both_ways,
    head_only,
    literal_steps,
    mean_gradient,
    on_task,
    small_batch,
    small_network,
    textbook_gradient,
)

CROSS_ENTROPY = nn.functional.cross_entropy
RATE = 0.3
SUBSETS = {"all": everything, "head": head_only, "body": body_only}


@pytest.mark.parametrize("subset", SUBSETS)
@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_meta_gradient_is_that_of_finite_differences(normalisation, steps, momentum, subset):
    network, batch = small_network(normalisation), small_batch()
    params = parameters_of(network)
    update = Momentum(RATE, momentum) if momentum else None
    rule = MAML(alpha=RATE, steps=steps, update=update, adapts=SUBSETS[subset])

    def objective(p):
        return adapted_query_loss(
            network, batch, p, RATE, steps, momentum=momentum, adapts=SUBSETS[subset]
        )

    one, stack = (mean_gradient(rule, network, tasks) for tasks in both_ways(network, batch))
    assert_differentiates(one, objective, params)
    assert_same(stack, one)


@pytest.mark.slow
def test_every_entry_is_that_of_finite_differences():
    network, batch = small_network("group"), small_batch()
    params = parameters_of(network)
    found = mean_gradient(MAML(RATE, 2), network, one_by_one(network, CROSS_ENTROPY, batch))
    for name, p in params.items():
        expected = torch.zeros_like(p)
        for i in range(p.numel()):
            for sign in (1, -1):
                leaves = {n: q.detach().clone().requires_grad_() for n, q in params.items()}
                leaves[name].data.view(-1)[i] += sign * 1e-5
                loss = adapted_query_loss(network, batch, leaves, RATE, 2).detach()
                expected.view(-1)[i] += sign * loss / 2e-5
        torch.testing.assert_close(found[name], expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("subset", SUBSETS)
@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_all_curvatures_agree_with_the_textbook_graph(normalisation, momentum, subset):
    network, batch = small_network(normalisation), small_batch(tasks=3)
    adapts = SUBSETS[subset]
    how = {"momentum": momentum, "adapts": adapts}
    expected = textbook_gradient(
        lambda p: adapted_query_loss(network, batch, p, RATE, 3, graph=True, **how),
        parameters_of(network),
    )
    curvatures = [stored_graph, recomputed_graph]
    # PyTorch has no forward derivative of GroupNorm's backward pass.
    if adapts is everything and normalisation != "group":
        curvatures.append(forward_over_reverse)
    for curvature in curvatures:
        rule = MAML(steps=3, update=Momentum(RATE, momentum), adapts=adapts, curvature=curvature)
        for tasks in both_ways(network, batch):
            assert_same(mean_gradient(rule, network, tasks), expected)


@pytest.mark.parametrize("subset", SUBSETS)
@pytest.mark.parametrize("steps", [1, 3])
def test_first_order_is_the_query_gradient_at_the_adapted_parameters(steps, subset):
    network, batch = small_network(), small_batch()
    params, adapts = parameters_of(network), SUBSETS[subset]
    sums = {name: torch.zeros_like(p) for name, p in params.items()}
    for number in range(2):
        support, query = on_task(network, batch, number)
        end = literal_steps(lambda _, p, at=support: at(p), params, RATE, steps, adapts=adapts)
        for name, g in textbook_gradient(query, end).items():
            sums[name] += g / 2
    rule = MAML(RATE, steps, first_order=True, adapts=adapts)
    exact = mean_gradient(MAML(RATE, steps, adapts=adapts), network, both_ways(network, batch)[0])
    for tasks in both_ways(network, batch):
        assert_same(mean_gradient(rule, network, tasks), sums)
    with pytest.raises(AssertionError):
        assert_same(exact, sums, 1e-3)


def test_any_pure_update_can_be_the_inner_one():
    network, batch = small_network("layer"), small_batch()
    beta1, beta2, eps = 0.5, 0.9, 1e-3

    def adam(at, params):
        first = second = dict.fromkeys(params, 0.0)
        for step in (1, 2):
            found = torch.autograd.grad(at(params), list(params.values()), create_graph=True)
            g = dict(zip(params, found, strict=True))
            first = {n: beta1 * first[n] + (1 - beta1) * g[n] for n in g}
            second = {n: beta2 * second[n] + (1 - beta2) * g[n] ** 2 for n in g}
            params = {
                n: p
                - 0.01
                * first[n]
                / (1 - beta1**step)
                / ((second[n] / (1 - beta2**step)).sqrt() + eps)
                for n, p in params.items()
            }
        return params

    def objective(params):
        pairs = [on_task(network, batch, number) for number in range(2)]
        return sum(query(adam(support, params)) for support, query in pairs) / 2

    expected = textbook_gradient(objective, parameters_of(network))
    rule = MAML(update=Adam(0.01, beta1, beta2, eps), steps=2)
    for tasks in both_ways(network, batch):
        assert_same(mean_gradient(rule, network, tasks), expected, 1e-9)


def test_adam_differentiates_where_a_gradient_is_zero():
    """At g = 0 the step g / (|g| + eps) has the slope 1 / eps, not 0 / 0."""
    params = {"x": torch.zeros(1, dtype=torch.float64, requires_grad=True)}
    rule = MAML(update=Adam(0.01, 0.0, 0.999, eps=0.5))
    task = Task(lambda p: {"loss": (p["x"] ** 2).sum() / 2}, lambda p: {"loss": 3 * p["x"].sum()})
    assert float(rule.meta_gradient(params, task)[0]["x"]) == pytest.approx(3 * (1 - 0.01 / 0.5))


def test_a_quadratic_by_hand():
    """L_s = a/2 x^2, L_q = b/2 (x - c)^2: k steps make x' = (1 - alpha a)^k x."""
    a, b, c, alpha, x = 2.0, 3.0, 0.5, 0.1, 1.5
    params = {"x": torch.tensor(x, dtype=torch.float64, requires_grad=True)}
    task = Task(
        lambda p: {"loss": a / 2 * p["x"] ** 2}, lambda p: {"loss": b / 2 * (p["x"] - c) ** 2}
    )
    for steps in (1, 4):
        shrink = (1 - alpha * a) ** steps
        found, losses = MAML(alpha, steps).meta_gradient(params, task)
        assert float(found["x"]) == pytest.approx(b * (shrink * x - c) * shrink, rel=1e-12)
        assert float(losses["support/loss"]) == pytest.approx(a / 2 * x**2)
        assert float(losses["query/loss"]) == pytest.approx(b / 2 * (shrink * x - c) ** 2)
        first, _ = MAML(alpha, steps, first_order=True).meta_gradient(params, task)
        assert float(first["x"]) == pytest.approx(b * (shrink * x - c), rel=1e-12)


def test_steps_of_their_own_objectives():
    """Step i descends a_i/2 x^2: the derivatives' factors are 1 - alpha a_i."""
    rates = [1.0, 2.0, 3.0]
    params = {"x": torch.tensor(1.5, dtype=torch.float64, requires_grad=True)}
    task = Task(
        lambda p: {"loss": p["x"] * math.nan},
        lambda p: {"loss": 7 * p["x"]},
        steps=lambda i: lambda p: {"loss": rates[i] / 2 * p["x"] ** 2},
    )
    found, _ = MAML(0.1, 3).meta_gradient(params, task)
    assert float(found["x"]) == pytest.approx(7 * 0.9 * 0.8 * 0.7, rel=1e-12)


def test_a_meta_gradient_carries_no_graph():
    network, batch = small_network(), small_batch()
    task = next(one_by_one(network, CROSS_ENTROPY, batch))
    found, losses = MAML(RATE).meta_gradient(parameters_of(network), task)
    assert not any(value.requires_grad for value in [*found.values(), *losses.values()])


def test_forward_over_reverse_refuses_a_subset():
    network, batch = small_network(), small_batch()
    task = next(one_by_one(network, CROSS_ENTROPY, batch))
    rule = MAML(RATE, adapts=head_only, curvature=forward_over_reverse)
    with pytest.raises(ValueError, match="all parameters"):
        rule.meta_gradient(parameters_of(network), task)


def test_the_inner_optimiser_is_sgd_unless_named():
    assert MAML(0.2).inner == SGD(0.2)
    assert MAML(0.2, update=Momentum(0.1)).inner == Momentum(0.1)


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
def test_learn2learn_agrees(steps, first_order):
    learn2learn = pytest.importorskip("learn2learn")
    network = small_network("group", dtype=torch.float32)
    batch = small_batch(4, dtype=torch.float32)
    tasks = both_ways(network, batch)
    found = [mean_gradient(MAML(RATE, steps, first_order), network, way) for way in tasks]
    maml = learn2learn.algorithms.MAML(network, lr=RATE, first_order=first_order)
    for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
        learner = maml.clone()
        for _ in range(steps):
            learner.adapt(CROSS_ENTROPY(learner(support_x), support_y))
        (CROSS_ENTROPY(learner(query_x), query_y) / 4).backward()
    expected = {name: p.grad for name, p in network.named_parameters()}
    for one in found:
        assert_same(one, expected, 1e-5)


@pytest.mark.parametrize("normalisation", ["batch", "layer"])
@pytest.mark.parametrize("steps", [1, 3])
def test_torchopt_agrees(steps, normalisation):
    torchopt = pytest.importorskip("torchopt")
    network = small_network(normalisation, dtype=torch.float32)
    batch = small_batch(4, dtype=torch.float32)
    tasks = both_ways(network, batch)
    found = [mean_gradient(MAML(RATE, steps), network, way) for way in tasks]
    params = parameters_of(network)
    optimiser = torchopt.MetaSGD(network, lr=RATE)
    start = torchopt.extract_state_dict(network, by="reference", detach_buffers=True)
    state = torchopt.extract_state_dict(optimiser, by="reference")
    losses = []
    for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
        for _ in range(steps):
            optimiser.step(CROSS_ENTROPY(network(support_x), support_y))
        losses.append(CROSS_ENTROPY(network(query_x), query_y))
        torchopt.recover_state_dict(network, start)
        torchopt.recover_state_dict(optimiser, state)
    gradients = torch.autograd.grad(torch.stack(losses).mean(), list(params.values()))
    expected = dict(zip(params, gradients, strict=True))
    for one in found:
        assert_same(one, expected, 1e-5)
