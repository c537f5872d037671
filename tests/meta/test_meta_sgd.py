"""Meta-SGD: gradients by the parameters and by the rates, and the rates it starts from."""

import pytest
import torch
from torch import nn

from mfr.meta.curvature import forward_over_reverse, recomputed_graph, stored_graph
from mfr.meta.functional import Task, parameters_of
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.meta_sgd import MetaSGD, initial_rates
from mfr.meta.supervised import one_by_one, stacked
from tests.meta.networks import (
    NORMALISATIONS,
    adapted_query_loss,
    assert_differentiates,
    assert_same,
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


def rates_in(params):
    return {name.removeprefix("rate:"): p for name, p in params.items() if name.startswith("rate:")}


def weights_in(params):
    return {name: p for name, p in params.items() if not name.startswith("rate:")}


def large_rates(network, seed=0):
    """Rates of both signs, ten times the initial ones, so that second order shows."""
    rates = initial_rates(network, seed)
    with torch.no_grad():
        for i, rate in enumerate(rates.values()):
            rate *= 10 * (-1) ** i
    return rates


@pytest.mark.parametrize("adapts", [None, head_only])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_meta_gradient_is_that_of_finite_differences(normalisation, steps, adapts):
    network, batch = small_network(normalisation), small_batch()
    rates = large_rates(network)
    rule = MetaSGD(rates, steps, adapts=adapts or (lambda name: True))

    def objective(p, graph=False):
        return adapted_query_loss(
            network, batch, weights_in(p), rates_in(p), steps, adapts=adapts, graph=graph
        )

    everything = {**parameters_of(network), **rates}
    one, stack = (mean_gradient(rule, network, tasks) for tasks in both_ways(network, batch))
    assert_differentiates(one, objective, everything)
    assert_same(stack, one)
    assert_same(one, textbook_gradient(lambda p: objective(p, graph=True), everything))


@pytest.mark.parametrize("curvature", [recomputed_graph, forward_over_reverse])
def test_curvatures_agree(curvature):
    network, batch = small_network(), small_batch()
    rates = large_rates(network)
    expected = mean_gradient(
        MetaSGD(rates, 3, curvature=stored_graph), network, both_ways(network, batch)[0]
    )
    for tasks in both_ways(network, batch):
        assert_same(mean_gradient(MetaSGD(rates, 3, curvature=curvature), network, tasks), expected)


def test_one_rate_for_all_is_maml():
    network, batch = small_network(), small_batch()
    rates = {
        name: torch.full_like(r, 0.2).requires_grad_()
        for name, r in initial_rates(network, 0).items()
    }
    tasks = both_ways(network, batch)[0]
    found = mean_gradient(MetaSGD(rates, 2), network, tasks)
    assert_same(weights_in(found), mean_gradient(MAML(0.2, 2), network, tasks))


def test_first_order_drops_second_derivatives_alone():
    """By alpha: -v o g summed over steps; by theta: v. Both with v the query's gradient."""
    network, batch = small_network(), small_batch(tasks=1)
    rates = large_rates(network)
    params = parameters_of(network)
    support, query = on_task(network, batch, 0)
    plain = {name.removeprefix("rate:"): r.detach() for name, r in rates.items()}
    end = literal_steps(lambda _, p: support(p), params, plain, 2)
    v = textbook_gradient(query, end)
    moved = {name: (p - end[name]).detach() / plain[name] for name, p in params.items()}
    expected = {**v, **{f"rate:{name}": -v[name] * moved[name] for name in params}}
    for tasks in both_ways(network, batch):
        found = mean_gradient(MetaSGD(rates, 2, first_order=True), network, tasks)
        assert_same(found, expected, 1e-9)


def test_a_quadratic_by_hand():
    """L = a/2 x^2 on both sides: x' = (1 - alpha a) x, so

    dL(x')/dx = a (1 - alpha a)^2 x and dL(x')/dalpha = -a^2 (1 - alpha a) x^2.
    """
    a, alpha, x = 2.0, 0.1, 1.5
    params = {"x": torch.tensor(x, dtype=torch.float64, requires_grad=True)}
    rates = {"rate:x": torch.tensor(alpha, dtype=torch.float64, requires_grad=True)}

    def loss(p):
        return {"loss": a / 2 * p["x"] ** 2}

    found, losses = MetaSGD(rates).meta_gradient({**params, **rates}, Task(loss, loss))
    assert float(found["x"]) == pytest.approx(a * (1 - alpha * a) ** 2 * x, rel=1e-12)
    assert float(found["rate:x"]) == pytest.approx(-(a**2) * (1 - alpha * a) * x**2, rel=1e-12)
    assert float(losses["query/loss"]) == pytest.approx(a / 2 * ((1 - alpha * a) * x) ** 2)
    first, _ = MetaSGD(rates, first_order=True).meta_gradient({**params, **rates}, Task(loss, loss))
    assert float(first["x"]) == pytest.approx(a * (1 - alpha * a) * x, rel=1e-12)
    assert float(first["rate:x"]) == pytest.approx(float(found["rate:x"]), rel=1e-12)


def test_initial_rates_are_the_papers_and_the_seeds():
    network = nn.Linear(100, 100)
    network.bias.requires_grad_(False)
    rates = initial_rates(network, 7)
    assert list(rates) == ["rate:weight"]
    rate = rates["rate:weight"]
    assert rate.shape == network.weight.shape and rate.is_leaf and rate.requires_grad
    assert (
        0.005 <= float(rate.detach().min()) < 0.0055 and 0.0995 < float(rate.detach().max()) <= 0.1
    )
    assert float(rate.mean()) == pytest.approx(0.0525, abs=1e-3)
    assert torch.equal(rate, initial_rates(network, 7)["rate:weight"])
    assert not torch.equal(rate, initial_rates(network, 8)["rate:weight"])


def test_the_rates_learn_and_adaptation_uses_them():
    network, batch = small_network(), small_batch(4)
    rates = initial_rates(network, 0)
    before = {name: r.detach().clone() for name, r in rates.items()}
    rule = MetaSGD(rates)
    optimiser = torch.optim.SGD([*network.parameters(), *rates.values()], lr=0.1)
    learner = MetaLearner(network, rule, optimiser)
    gradient, _ = learner.meta_gradient([stacked(network, CROSS_ENTROPY, batch)])
    learner.step([stacked(network, CROSS_ENTROPY, batch)])
    for name, then in before.items():
        torch.testing.assert_close(rates[name], then - 0.1 * gradient[name])
    assert any(not torch.equal(rates[name], then) for name, then in before.items())
    support, _ = on_task(network, batch, 0)
    plain = {name.removeprefix("rate:"): r.detach() for name, r in rates.items()}
    expected = literal_steps(lambda _, p: support(p), parameters_of(network), plain, 3)
    task = next(one_by_one(network, CROSS_ENTROPY, batch))
    assert_same(parameters_of(learner.adapt(task.support, 3)), expected)
