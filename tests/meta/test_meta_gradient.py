"""The meta-gradients against finite differences of the whole objective, in float64."""

import copy
import functools

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from mfr.errors import TrainingError
from mfr.losses import domain_alignment, hard_pair_attention, soft_classification
from mfr.meta.curvature import forward_over_reverse, recomputed_graph, stored_graph
from mfr.meta.functional import (
    Task,
    forward_isolated,
    forward_updating,
    parameters_of,
    total,
)
from mfr.meta.inner_loop import SGD, look_ahead
from mfr.meta.learner import MetaLearner
from mfr.meta.mfr import MFR
from mfr.meta.mldg import MLDG
from mfr.meta.rule import PlainGradient

ALPHA, GAMMA = 0.05, 0.3


class TinyNetwork(nn.Module):
    """Convolution, batch normalisation, PReLU, linear: every kind of layer our backbones have."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.PReLU(4),
            nn.Conv2d(4, 4, 3, groups=4, stride=2),
            nn.BatchNorm2d(4),
            nn.Flatten(),
            nn.Linear(16, 5),
        )

    def forward(self, images):
        return normalize(self.body(images))


def make_task(network, generator):
    """MFR's own losses with thresholds that no pair is near, so that differences are smooth."""
    images = [torch.randn(12, 3, 6, 6, dtype=torch.float64, generator=generator) for _ in range(2)]
    domains = torch.tensor([0, 0, 0, 1, 1, 1])

    def losses(forward, images, align):
        def objective(params):
            gallery, probe = forward(network, params, images).chunk(2)
            found = {
                "hp": hard_pair_attention(gallery, probe, 2.0, -2.0),
                "cls": soft_classification(gallery, probe, scale=4.0),
            }
            if align:
                found["da"] = domain_alignment(gallery, probe, domains, scale=2.0)
            return found

        return objective

    return Task(
        losses(forward_updating, images[0], True), losses(forward_isolated, images[1], False)
    )


def make_setting():
    torch.manual_seed(3)
    network = TinyNetwork().double().train()
    return network, make_task(network, torch.Generator().manual_seed(4))


@pytest.fixture
def setting():
    return make_setting()


def losses_at(task, params, *, alpha):
    """The losses whose weighted sum a rule descends, with theta' made by a literal gradient step.

    They are (2,) that of the support at theta and that of the query at theta'.
    """
    leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
    support = total(task.support(leaves))
    gradients = torch.autograd.grad(support, list(leaves.values()))
    stepped = {n: p - alpha * g for (n, p), g in zip(leaves.items(), gradients, strict=True)}
    return torch.stack([support, total(task.query(stepped))]).detach()


@functools.cache
def finite_differences(alpha, step=1e-5):
    """By parameter, (2, *shape) the derivatives of `losses_at`, found once for all weights."""
    network, task = make_setting()
    params = parameters_of(network)
    differences = {}
    for name, p in params.items():
        flat = torch.zeros(2, p.numel(), dtype=p.dtype)
        for i in range(p.numel()):
            values = []
            for sign in (1, -1):
                moved = p.detach().clone()
                moved.view(-1)[i] += sign * step
                values.append(losses_at(task, {**params, name: moved}, alpha=alpha))
            flat[:, i] = (values[0] - values[1]) / (2 * step)
        differences[name] = flat.view(2, *p.shape)
    return differences


def relative_error(found, expected):
    found, expected = (
        torch.cat([one[name].flatten() for name in expected]) for one in (found, expected)
    )
    return float((found - expected).norm() / expected.norm())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "weights", "alpha"),
    [
        (MFR(alpha=ALPHA, gamma=GAMMA), (GAMMA, 1 - GAMMA), ALPHA),
        (MFR(alpha=0.0, gamma=GAMMA), (GAMMA, 1 - GAMMA), 0.0),
        (MFR(alpha=0.0, gamma=GAMMA, first_order=True), (GAMMA, 1 - GAMMA), 0.0),
        (MLDG(alpha=ALPHA, query_weight=0.7), (1.0, 0.7), ALPHA),
    ],
)
def test_meta_gradient_is_that_of_finite_differences(setting, rule, weights, alpha):
    network, task = setting
    found, _ = rule.meta_gradient(parameters_of(network), task)
    expected = {
        name: weights[0] * support + weights[1] * query
        for name, (support, query) in finite_differences(alpha).items()
    }
    assert relative_error(found, expected) < 1e-6


@pytest.mark.parametrize("curvature", [stored_graph, recomputed_graph, forward_over_reverse])
def test_exact_gradient_is_that_of_the_textbook_graph(setting, curvature):
    network, task = setting
    params = parameters_of(network)
    support = total(task.support(params))
    gradients = torch.autograd.grad(support, list(params.values()), create_graph=True)
    stepped = {n: p - ALPHA * g for (n, p), g in zip(params.items(), gradients, strict=True)}
    query = total(task.query(stepped))
    expected = torch.autograd.grad(query, list(params.values()))
    found = look_ahead(task, params, SGD(ALPHA), names=params, curvature=curvature).query
    for name, gradient in zip(params, expected, strict=True):
        torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-12)


def test_first_order_is_the_query_gradient_at_the_stepped_parameters(setting):
    network, task = setting
    params = parameters_of(network)
    support = torch.autograd.grad(total(task.support(params)), list(params.values()))
    stepped = {
        n: (p - ALPHA * g).detach().requires_grad_()
        for (n, p), g in zip(params.items(), support, strict=True)
    }
    expected = torch.autograd.grad(total(task.query(stepped)), list(stepped.values()))
    found = look_ahead(task, params, SGD(ALPHA), names=params, curvature=None)
    exact = look_ahead(task, params, SGD(ALPHA), names=params, curvature=stored_graph)
    for name, gradient, step in zip(params, expected, support, strict=True):
        torch.testing.assert_close(found.query[name], gradient)
        torch.testing.assert_close(found.support[name], step)
        torch.testing.assert_close(exact.support[name], step)
    assert relative_error(found.query, exact.query) > 1e-3


@pytest.mark.parametrize("rule", [MFR(), MFR(first_order=True), MFR(alpha=0.0), MLDG()])
def test_a_meta_gradient_carries_no_graph(setting, rule):
    network, task = setting
    found, losses = rule.meta_gradient(parameters_of(network), task)
    assert not any(value.requires_grad for value in [*found.values(), *losses.values()])


def test_losses_are_named_by_side(setting):
    network, task = setting
    _, losses = MFR().meta_gradient(parameters_of(network), task)
    assert set(losses) == {
        *("meta_train/hp", "meta_train/cls", "meta_train/da"),
        *("meta_test/hp", "meta_test/cls"),
    }


def test_running_statistics_move_on_meta_train_alone(setting):
    network, task = setting
    before = copy.deepcopy(dict(network.named_buffers()))
    task.query(parameters_of(network))
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, before[name])
    alone = copy.deepcopy(network)
    make_task(alone, torch.Generator().manual_seed(4)).support(parameters_of(alone))
    MFR().meta_gradient(parameters_of(network), task)
    for name, buffer in alone.named_buffers():
        assert torch.equal(dict(network.named_buffers())[name], buffer)
    assert not torch.equal(network.body[1].running_mean, before["body.1.running_mean"])


def test_a_pass_normalises_with_its_own_batch(setting):
    network, _ = setting
    images = torch.randn(8, 3, 6, 6, dtype=torch.float64)
    params = parameters_of(network)
    once = forward_isolated(network, params, images)
    network.body[1].running_mean += 100  # would show in the features if it were used
    assert torch.equal(forward_isolated(network, params, images), once)


def test_a_step_is_sgd_on_the_mean_of_the_episodes(setting):
    network, task = setting
    other = make_task(network, torch.Generator().manual_seed(9))
    twin = copy.deepcopy(network)
    twin_tasks = [make_task(twin, torch.Generator().manual_seed(s)) for s in (4, 9)]
    rule = MFR(alpha=ALPHA, gamma=GAMMA)
    arguments = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    learner = MetaLearner(network, rule, torch.optim.SGD(network.parameters(), **arguments))
    reference = torch.optim.SGD(twin.parameters(), **arguments)
    for _ in range(2):
        means = learner.step([task, other])
        gradients = [rule.meta_gradient(parameters_of(twin), one)[0] for one in twin_tasks]
        for name, p in twin.named_parameters():
            p.grad = (gradients[0][name] + gradients[1][name]) / 2
        norm = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm()
        reference.step()
        assert means["gradient_norm"] == pytest.approx(float(norm))
    for mine, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-14)


def test_plain_gradient_ignores_the_query(setting):
    network, task = setting
    params = parameters_of(network)
    found, losses = PlainGradient().meta_gradient(params, Task(task.support))
    expected = torch.autograd.grad(total(task.support(params)), list(params.values()))
    for name, gradient in zip(params, expected, strict=True):
        torch.testing.assert_close(found[name], gradient)
    assert set(losses) == {"hp", "cls", "da"}


def test_a_broken_loss_leaves_the_parameters(setting):
    network, task = setting
    before = [p.detach().clone() for p in network.parameters()]
    broken = Task(lambda params: {"boom": sum(p.sum() for p in params.values()) * float("nan")})
    learner = MetaLearner(network, PlainGradient(), torch.optim.SGD(network.parameters(), lr=1.0))
    with pytest.raises(TrainingError, match="boom"):
        learner.step([Task(task.support), broken])
    for now, then in zip(network.parameters(), before, strict=True):
        assert torch.equal(now, then)
