"""ADML against Algorithm 1 written out, and what it says about its adversarial samples."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mfr.meta.adml import ADML
from mfr.meta.attacks import FGSM, PGD
from mfr.meta.curvature import forward_over_reverse, recomputed_graph
from mfr.meta.functional import Task, parameters_of
from mfr.meta.inner_loop import SGD, everything
from tests.meta.networks import (
    NORMALISATIONS,
    assert_differentiates,
    assert_same,
    body_only,
    both_ways,
    head_only,
    literal_steps,
    mean_gradient,
    plain_loss,
    small_batch,
    small_network,
    snapshot,
    textbook_gradient,
)

CROSS_ENTROPY = nn.functional.cross_entropy
ALPHA1, ALPHA2, BETA1, BETA2, EPS = 0.3, 0.2, 0.7, 0.4, 0.15
ATTACK = FGSM(EPS, low=-9.0, high=9.0)


def rule_of(**changes):
    return ADML(
        **{
            "alpha1": ALPHA1,
            "alpha2": ALPHA2,
            "beta1": BETA1,
            "beta2": BETA2,
            "attack": ATTACK,
            **changes,
        }
    )


def signed(network, params, inputs, targets):
    """FGSM by hand, at ``params``."""
    leaf = inputs.clone().requires_grad_()
    fixed = {name: p.detach() for name, p in params.items()}
    (g,) = torch.autograd.grad(plain_loss(network, fixed, leaf, targets), leaf)
    return inputs + EPS * g.sign()


def crossed_samples(network, batch, params, steps, adapts=None):
    """The adversarial support (made at theta) and query (at theta'_clean) of every task."""
    samples = []
    for x, y, qx, qy in zip(*batch, strict=True):
        clean = literal_steps(
            lambda _, p, x=x, y=y: plain_loss(network, p, x, y),
            params,
            ALPHA2,
            steps,
            adapts=adapts,
        )
        samples.append((signed(network, params, x, y), signed(network, clean, qx, qy)))
    return samples


def crossed_objective(network, batch, samples, params, steps, **how):
    """beta1 L(theta'_adv, query) + beta2 L(theta'_clean, query_adv), samples given; task mean."""
    sums = 0.0
    for (x, y, qx, qy), (x_adv, qx_adv) in zip(zip(*batch, strict=True), samples, strict=True):
        adv = literal_steps(
            lambda _, p, x=x_adv, y=y: plain_loss(network, p, x, y), params, ALPHA1, steps, **how
        )
        clean = literal_steps(
            lambda _, p, x=x, y=y: plain_loss(network, p, x, y), params, ALPHA2, steps, **how
        )
        sums = sums + BETA1 * plain_loss(network, adv, qx, qy)
        sums = sums + BETA2 * plain_loss(network, clean, qx_adv, qy)
    return sums / len(samples)


@pytest.mark.parametrize("adapts", [everything, head_only, body_only])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_meta_gradient_is_that_of_the_crossing(normalisation, steps, adapts):
    network, batch = small_network(normalisation), small_batch()
    params = parameters_of(network)
    samples = crossed_samples(network, batch, params, steps, adapts)
    rule = rule_of(steps=steps, adapts=adapts)
    one, stack = (mean_gradient(rule, network, tasks) for tasks in both_ways(network, batch))
    # Samples stay as they are: no derivative flows through their making.
    assert_differentiates(
        one,
        lambda p: crossed_objective(network, batch, samples, p, steps, adapts=adapts),
        params,
    )
    expected = textbook_gradient(
        lambda p: crossed_objective(network, batch, samples, p, steps, adapts=adapts, graph=True),
        params,
    )
    assert_same(one, expected)
    assert_same(stack, one)


@pytest.mark.parametrize("curvature", [recomputed_graph, forward_over_reverse])
def test_curvatures_agree(curvature):
    network, batch = small_network(), small_batch()
    expected = mean_gradient(rule_of(steps=3), network, both_ways(network, batch)[0])
    rule = rule_of(steps=3, curvature=curvature)
    for tasks in both_ways(network, batch):
        assert_same(mean_gradient(rule, network, tasks), expected)


def test_first_order_is_the_query_gradients_at_the_adapted_parameters():
    network, batch = small_network(), small_batch(1)
    params = parameters_of(network)
    ((x_adv, qx_adv),) = crossed_samples(network, batch, params, 2)
    x, y, qx, qy = (tensor[0] for tensor in batch)
    adv = literal_steps(lambda _, p: plain_loss(network, p, x_adv, y), params, ALPHA1, 2)
    clean = literal_steps(lambda _, p: plain_loss(network, p, x, y), params, ALPHA2, 2)
    by_adv = textbook_gradient(lambda p: plain_loss(network, p, qx, qy), adv)
    by_clean = textbook_gradient(lambda p: plain_loss(network, p, qx_adv, qy), clean)
    expected = {name: BETA1 * by_adv[name] + BETA2 * by_clean[name] for name in params}
    for tasks in both_ways(network, batch):
        found = mean_gradient(rule_of(steps=2, first_order=True), network, tasks)
        assert_same(found, expected)


def test_the_betas_weigh_the_two_judgements():
    network, batch = small_network(), small_batch()
    tasks = both_ways(network, batch)[0]
    on_clean = mean_gradient(rule_of(beta1=1.0, beta2=0.0), network, tasks)
    on_adversarial = mean_gradient(rule_of(beta1=0.0, beta2=1.0), network, tasks)
    expected = {n: BETA1 * on_clean[n] + BETA2 * on_adversarial[n] for n in on_clean}
    assert_same(mean_gradient(rule_of(), network, tasks), expected)
    with pytest.raises(AssertionError):
        assert_same(on_clean, on_adversarial, 1e-2)


def test_losses_are_those_of_the_three_sides():
    network, batch = small_network(), small_batch(1)
    params = parameters_of(network)
    ((x_adv, qx_adv),) = crossed_samples(network, batch, params, 1)
    x, y, qx, qy = (tensor[0] for tensor in batch)
    adv = literal_steps(lambda _, p: plain_loss(network, p, x_adv, y), params, ALPHA1, 1)
    clean = literal_steps(lambda _, p: plain_loss(network, p, x, y), params, ALPHA2, 1)
    _, losses = rule_of().meta_gradient(params, both_ways(network, batch)[0][0])
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(
        {
            "support/loss": float(plain_loss(network, params, x, y).detach()),
            "query/loss": float(plain_loss(network, adv, qx, qy).detach()),
            "query_adversarial/loss": float(plain_loss(network, clean, qx_adv, qy).detach()),
        }
    )


def test_without_attack_it_is_two_mamls():
    """eps = 0 and equal rates: both judgements are MAML's."""
    from mfr.meta.maml import MAML

    network, batch = small_network(), small_batch()
    tasks = both_ways(network, batch)[0]
    rule = rule_of(alpha1=0.2, alpha2=0.2, beta1=0.5, beta2=0.5, attack=FGSM(0.0, -9.0, 9.0))
    assert_same(mean_gradient(rule, network, tasks), mean_gradient(MAML(0.2), network, tasks))


class Recorder:
    """An attack that keeps what it was asked, and moves nothing."""

    def __init__(self):
        self.asked = []

    def __call__(self, loss, inputs, generator=None):
        self.asked.append((float(loss(inputs)), inputs, generator))
        return inputs


def test_samples_are_made_once_a_side_at_the_stated_parameters():
    network, batch = small_network(), small_batch(1)
    params = parameters_of(network)
    x, y, qx, qy = (tensor[0] for tensor in batch)
    clean = literal_steps(lambda _, p: plain_loss(network, p, x, y), params, ALPHA2, 3)
    recorder, generator = Recorder(), torch.Generator()
    rule = rule_of(attack=recorder, steps=3, generator=generator)
    rule.meta_gradient(params, both_ways(network, batch)[0][0])
    (support_loss, support_inputs, one), (query_loss, query_inputs, other) = recorder.asked
    assert one is other is generator
    assert torch.equal(support_inputs, x) and torch.equal(query_inputs, qx)
    assert support_loss == pytest.approx(float(plain_loss(network, params, x, y).detach()))
    assert query_loss == pytest.approx(float(plain_loss(network, clean, qx, qy).detach()))


def test_a_random_start_draws_from_the_generator():
    network, batch = small_network(), small_batch()
    attack = PGD(EPS, step_size=0.05, steps=2, low=-9.0, high=9.0)

    def found(seed):
        rule = rule_of(attack=attack, generator=torch.Generator().manual_seed(seed))
        return mean_gradient(rule, network, both_ways(network, batch)[1])

    assert_same(found(1), found(1), 0)
    with pytest.raises(AssertionError):
        assert_same(found(1), found(2), 1e-6)


def test_the_clean_inner_loop_follows_the_tasks_steps():
    """Only the clean loop has steps of its own: the other has one adversarial support."""
    network, batch = small_network(), small_batch(1)
    task = both_ways(network, batch)[0][0]
    reached = []

    def at(step):
        reached.append(step)
        return task.support

    params = parameters_of(network)
    expected, _ = rule_of(steps=2).meta_gradient(params, task)
    found, _ = rule_of(steps=2).meta_gradient(params, replace(task, steps=at))
    assert reached == [0, 1]
    assert_same(found, expected, 0)


def test_it_changes_neither_network_nor_gradients():
    network, batch = small_network(), small_batch()
    before = snapshot(network)
    for tasks in both_ways(network, batch):
        mean_gradient(rule_of(), network, tasks)
    assert_same(snapshot(network), before, 0)
    assert all(p.grad is None for p in network.parameters())


def test_a_task_that_cannot_be_attacked_is_refused():
    network, batch = small_network(), small_batch(1)
    task = both_ways(network, batch)[0][0]
    with pytest.raises(TypeError, match="AttackableTask"):
        rule_of().meta_gradient(parameters_of(network), Task(task.support, task.query))


def test_adaptation_takes_clean_steps():
    assert rule_of().inner == SGD(ALPHA2)
