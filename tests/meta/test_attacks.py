"""The attacks by what they mean: linear models by hand, boxes, and nothing touched on the way."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mfr.errors import TrainingError
from mfr.meta.attacks import FGSM, PGD
from mfr.meta.functional import forward_isolated, parameters_of

EPS = 0.1


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def classifier():
    """A network with running statistics, its cross-entropy on fixed targets, and images."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(64, 5)
    ).train()
    targets = torch.arange(5)

    def loss(images):
        return F.cross_entropy(forward_isolated(network, parameters_of(network), images), targets)

    return network, loss, torch.rand(5, 3, 6, 6)


def attacks_of(eps, **arguments):
    return [
        FGSM(eps, **arguments),
        PGD(eps, step_size=eps / 3 or 0.1, steps=5, **arguments),
        PGD(eps, step_size=4 * eps or 0.1, steps=2, random_start=False, **arguments),
    ]


def test_fgsm_of_a_linear_model_by_hand():
    # L = -log sigmoid(w x) falls where w x grows: every pixel moves against its weight's sign.
    w = torch.tensor([2.0, -0.5, 0.0, 1.0])
    x = torch.tensor([[0.5, 0.5, 0.5, 0.05]])
    found = FGSM(EPS)(lambda inputs: -F.logsigmoid(inputs @ w), x)
    # The third weighs nothing and stays; the last meets the end of the range.
    torch.testing.assert_close(found, torch.tensor([[0.4, 0.6, 0.5, 0.0]]))


def linear_problem(draw_seed, eps):
    generator = seeded(draw_seed)
    x = torch.rand(2, 3, 4, dtype=torch.float64, generator=generator)
    w = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator)
    best = torch.where(w > 0, (x + eps).clamp(max=1), (x - eps).clamp(min=0))
    return x, w, best, generator


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 2))
def test_fgsm_is_the_maximum_of_a_linear_loss_over_the_ball(seed, eps):
    x, w, best, generator = linear_problem(seed, eps)
    found = FGSM(eps)(lambda inputs: (inputs * w).sum(), x)
    torch.testing.assert_close(found, best, rtol=0, atol=1e-12)
    elsewhere = (x + eps * (2 * torch.rand(100, *x.shape, generator=generator) - 1)).clamp(0, 1)
    assert ((elsewhere * w).flatten(1).sum(1) <= (found * w).sum() + 1e-9).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.floats(1e-3, 0.5), st.floats(0.3, 5))
def test_pgd_that_can_reach_every_corner_finds_that_maximum_too(seed, eps, relative_step):
    x, w, best, generator = linear_problem(seed, eps)
    found = PGD(eps, step_size=relative_step * eps)(lambda i: (i * w).sum(), x, generator)
    torch.testing.assert_close(found, best, rtol=0, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**32),
    st.floats(0, 100),
    st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-127.5 / 128, 127.5 / 128)]),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_results_stay_in_the_ball_and_in_the_range(seed, eps, ends, dtype):
    low, high = ends
    generator = seeded(seed)
    unit = torch.rand(3, 8, generator=generator).round(decimals=1)  # with pixels at both ends
    x = (low + (high - low) * unit).to(dtype)
    rounding = 2 * torch.finfo(dtype).eps * (eps + max(abs(low), abs(high)))
    for attack in attacks_of(eps, low=low, high=high):
        found = attack(lambda i: (i.sin() * i.roll(1, -1)).sum(), x, generator)
        assert found.dtype == dtype and found.shape == x.shape
        assert found.min() >= low - rounding and found.max() <= high + rounding
        assert ((found - x).abs().double().max()) <= eps + rounding


def test_one_full_pgd_step_from_the_inputs_is_fgsm(classifier):
    _, loss, images = classifier
    once = PGD(EPS, step_size=EPS, steps=1, random_start=False)
    assert torch.equal(once(loss, images), FGSM(EPS)(loss, images))


def test_attacks_raise_the_loss_and_pgd_does_so_more(classifier):
    _, loss, images = classifier
    fgsm = float(loss(FGSM(EPS)(loss, images)).detach())
    pgd = float(loss(PGD(EPS, EPS / 4, steps=20)(loss, images, seeded(0))).detach())
    assert float(loss(images).detach()) < fgsm < pgd


def test_random_start_is_the_generator_s_and_no_one_else_s(classifier):
    _, loss, images = classifier
    attack = PGD(EPS, step_size=EPS / 4)
    state = torch.get_rng_state()
    found = [attack(loss, images, seeded(seed)) for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="generator"):
        attack(loss, images)


def test_random_start_is_uniform_in_the_ball():
    x = torch.full((20000,), 0.5)
    started = PGD(EPS, step_size=EPS, steps=1)(lambda i: (i * 0).sum(), x, seeded(0)) - x
    assert float(started.min()) == pytest.approx(-EPS, rel=1e-2)
    assert float(started.max()) == pytest.approx(EPS, rel=1e-2)
    assert float(started.mean()) == pytest.approx(0, abs=3 * EPS / (3 * 20000) ** 0.5)
    assert float(started.std()) == pytest.approx(EPS / 3**0.5, rel=2e-2)


def test_pixels_without_gradient_stay():
    x = torch.rand(4, 5)
    for attack in (FGSM(EPS), PGD(EPS, step_size=EPS, random_start=False)):
        assert torch.equal(attack(lambda i: (i * 0).sum(), x), x)
        found = attack(lambda i: i[:, 2].sum(), x)
        untouched = [0, 1, 3, 4]
        assert torch.equal(found[:, untouched], x[:, untouched])
        assert (found[:, 2] > x[:, 2]).all()


def test_stacked_tasks_are_attacked_each_by_itself():
    tasks = torch.rand(3, 2, 1, 4, 4)
    weights = torch.randn(3, 1, 1, 4, 4)

    def losses(inputs, weights=weights):  # very different sizes: one must not drown another
        scale = torch.logspace(-6, 6, len(inputs))
        return scale * (inputs * weights).tanh().square().flatten(1).sum(1)

    attack = PGD(EPS, step_size=EPS / 3, random_start=False)
    together = attack(losses, tasks)
    alone = [
        attack(lambda i, w=w: losses(i, w), task[None])[0]
        for task, w in zip(tasks, weights, strict=True)
    ]
    assert torch.equal(together, torch.stack(alone))


@pytest.mark.parametrize("attack", attacks_of(EPS))
def test_nothing_else_is_touched(classifier, attack):
    network, loss, images = classifier
    images.requires_grad_()
    before = copy.deepcopy(network.state_dict())
    marks = {name: torch.randn_like(p) for name, p in network.named_parameters()}
    for name, p in network.named_parameters():
        p.grad = marks[name].clone()
    clean = images.detach().clone()
    found = attack(loss, images, seeded(0))
    assert not found.requires_grad and found.grad_fn is None
    assert torch.equal(images, clean) and images.requires_grad and images.grad is None
    for name, p in network.named_parameters():
        assert p.requires_grad and torch.equal(p.grad, marks[name])
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_attacking_adapted_weights_leaves_their_graph(classifier):
    # ADML attacks at theta' and then differentiates through theta' by theta.
    network, _, images = classifier
    params, targets = parameters_of(network), torch.arange(5)

    def loss_at(weights):
        return lambda i: F.cross_entropy(forward_isolated(network, weights, i), targets)

    gradients = torch.autograd.grad(
        loss_at(params)(images), list(params.values()), create_graph=True
    )
    adapted = {n: p - 0.1 * g for (n, p), g in zip(params.items(), gradients, strict=True)}
    adversarial = FGSM(EPS)(loss_at(adapted), images)
    found = torch.autograd.grad(loss_at(adapted)(adversarial), list(params.values()))
    assert all(g.isfinite().all() for g in found)


def test_attacks_work_where_gradients_are_off(classifier):
    _, loss, images = classifier
    expected = FGSM(EPS)(loss, images)
    with torch.no_grad():
        assert torch.equal(FGSM(EPS)(loss, images), expected)
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize("attack", attacks_of(EPS))
def test_nan_is_told_not_taken_for_robustness(attack):
    x = torch.rand(2, 3)
    with pytest.raises(TrainingError, match="NaN"):
        attack(lambda i: (i[0] * float("nan")).sum() + i[1].sum(), x, seeded(0))
    x[0, 0] = float("nan")
    with pytest.raises(ValueError, match="nan"):
        attack(torch.sum, x, seeded(0))


@pytest.mark.parametrize("attack", attacks_of(EPS))
def test_infinite_gradients_still_have_a_direction(attack):
    x = torch.full((2, 3), 0.5)
    weights = torch.tensor([float("inf"), -float("inf"), 1.0])
    found = attack(lambda i: (i * weights).sum(), x, seeded(0))
    assert torch.equal((found - x).sign(), weights.sign().expand(2, 3))


def test_inputs_of_another_scale_are_refused():
    for x in (torch.tensor([-0.5, 0.5]), torch.tensor([0.0, 200.0])):
        with pytest.raises(ValueError, match="own scale"):
            FGSM(EPS)(torch.sum, x)
    with pytest.raises(ValueError, match="floating-point"):
        FGSM(EPS)(torch.sum, torch.tensor([1, 0], dtype=torch.uint8))
    ends = {"low": -0.485 / 0.229, "high": (1 - 0.485) / 0.229}
    x = (torch.tensor([0.0, 1.0]) - 0.485) / 0.229  # float32's ends are not quite float64's
    assert ((FGSM(EPS, **ends)(torch.sum, x) - x).abs() <= EPS + 1e-6).all()


def test_an_empty_batch_stays_empty():
    for attack in attacks_of(EPS):
        assert attack(torch.sum, torch.empty(0, 3, 4, 4), seeded(0)).shape == (0, 3, 4, 4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FGSM(-0.1),
        lambda: FGSM(float("nan")),
        lambda: FGSM(float("inf")),
        lambda: FGSM(0.1, low=1.0, high=1.0),
        lambda: PGD(-0.1, 0.1),
        lambda: PGD(0.1, 0.0),
        lambda: PGD(0.1, float("nan")),
        lambda: PGD(0.1, 0.1, steps=0),
        lambda: PGD(0.1, 0.1, low=0.0, high=float("nan")),
    ],
)
def test_settings_that_mean_nothing_are_refused(make):
    with pytest.raises(ValueError):
        make()
