"""The outer loop: means, clipping, precision, processes, adaptation, broken steps."""

import copy

import pytest
import torch
from torch import nn

from mfr.errors import TrainingError
from mfr.meta.adml import ADML
from mfr.meta.attacks import FGSM
from mfr.meta.functional import Task, parameters_of
from mfr.meta.inner_loop import Momentum
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.meta_sgd import MetaSGD, initial_rates
from mfr.meta.mfr import MFR
from mfr.meta.mldg import MLDG
from mfr.meta.reptile import Reptile
from mfr.meta.rule import PlainGradient
from mfr.meta.supervised import one_by_one, stacked
from mfr.meta.tasks.batch import TaskBatch
from tests.meta.networks import (
    NORMALISATIONS,
    assert_same,
    body_only,
    head_only,
    literal_steps,
    on_task,
    small_batch,
    small_network,
    snapshot,
)

CROSS_ENTROPY = nn.functional.cross_entropy
RULES = {
    "plain": lambda network: PlainGradient(),
    "maml": lambda network: MAML(0.1, 2),
    "anil": lambda network: MAML(0.1, 2, adapts=head_only),
    "meta-sgd": lambda network: MetaSGD(initial_rates(network, 0)),
    "reptile": lambda network: Reptile(3),
    "adml": lambda network: ADML(attack=FGSM(0.1, -9.0, 9.0)),
    "mfr": lambda network: MFR(),
    "mldg": lambda network: MLDG(),
}


def learner_of(network, rule, rate=0.1, **options):
    own = list(rule.own_parameters.values())
    optimiser = torch.optim.SGD([*network.parameters(), *own], lr=rate)
    return MetaLearner(network, rule, optimiser, **options)


def tasks_of(network, batch, way):
    if way == "stacked":
        return [stacked(network, CROSS_ENTROPY, batch)]
    return list(one_by_one(network, CROSS_ENTROPY, batch))


@pytest.mark.parametrize("way", ["one by one", "stacked"])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("rule", RULES)
def test_meta_learning_and_adapting_leave_buffers_and_adapting_leaves_parameters(
    rule, normalisation, way
):
    network, batch = small_network(normalisation), small_batch(2)
    learner = learner_of(network, RULES[rule](network))
    before = snapshot(network)
    learner.meta_gradient(tasks_of(network, batch, way))
    learner.adapt(tasks_of(network, batch, "one by one")[0].support, 3)
    assert_same(snapshot(network), before, 0)
    learner.step(tasks_of(network, batch, way))
    after = snapshot(network)
    for name, _ in network.named_buffers():
        assert torch.equal(after[name], before[name])
    assert any(not torch.equal(after[name], before[name]) for name in after)


@pytest.mark.parametrize("adapts", [None, head_only, body_only])
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_adapt_gives_the_network_after_steps_by_hand(momentum, adapts):
    network, batch = small_network(), small_batch(1)
    network.body[1].running_mean += 1
    update = Momentum(0.2, momentum) if momentum else None
    rule = MAML(0.2, update=update, **({"adapts": adapts} if adapts else {}))
    support, _ = on_task(network, batch, 0)
    expected = literal_steps(
        lambda _, p: support(p), parameters_of(network), 0.2, 4, momentum=momentum, adapts=adapts
    )
    learner = learner_of(network, rule)
    adapted = learner.adapt(tasks_of(network, batch, "one by one")[0].support, 4)
    assert type(adapted) is type(network) and adapted is not network
    assert_same(parameters_of(adapted), expected)
    assert_same(dict(adapted.named_buffers()), dict(network.named_buffers()), 0)
    assert all(p.is_leaf and p.requires_grad for p in adapted.parameters())
    with torch.no_grad():
        for p in adapted.parameters():
            p.zero_()
    assert any(float(p.detach().abs().sum()) > 0 for p in network.parameters())


def test_adapt_follows_a_tasks_own_steps():
    network = nn.Linear(1, 1, bias=False).double()
    network.weight.data.fill_(1.5)
    task = Task(
        lambda p: {"loss": p["weight"].sum() * float("nan")},
        steps=lambda i: lambda p: {"loss": (i + 1) / 2 * (p["weight"] ** 2).sum()},
    )
    adapted = learner_of(network, MAML(0.1)).adapt(task, 3)
    assert adapted.weight.item() == pytest.approx(1.5 * 0.9 * 0.8 * 0.7)
    copied = learner_of(network, MAML(0.1)).adapt(task, 0)
    assert copied.weight.item() == 1.5 and copied is not network


@pytest.mark.parametrize("rule", RULES)
def test_a_long_gradient_is_shortened_to_the_clip_and_a_short_one_is_not(rule):
    network, batch = small_network(), small_batch(3)
    own = RULES[rule](network)
    gradient, _ = learner_of(network, own).meta_gradient(tasks_of(network, batch, "stacked"))
    norm = float(torch.cat([g.flatten() for g in gradient.values()]).norm())
    for clip, factor in ((norm / 4, 0.25), (norm * 2, 1.0)):
        twin = copy.deepcopy(network)
        learner = learner_of(twin, own, rate=1.0, clip=clip)
        before = {name: p.detach().clone() for name, p in learner.parameters.items()}
        values = learner.step(tasks_of(twin, batch, "stacked"))
        assert values["gradient_norm"] == pytest.approx(norm)
        moved = {name: before[name] - p.detach() for name, p in learner.parameters.items()}
        assert_same(moved, {name: factor * g for name, g in gradient.items()}, 1e-8)
        with torch.no_grad():
            for name, p in learner.parameters.items():
                p.copy_(before[name])


@pytest.mark.parametrize("way", ["one by one", "stacked"])
@pytest.mark.parametrize("rule", RULES)
def test_autocast_computes_in_bfloat16_and_keeps_parameters_in_float32(rule, way):
    network = small_network(dtype=torch.float32)
    batch = small_batch(2, dtype=torch.float32)
    own = RULES[rule](network)
    seen = []
    network.head.register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    exact, _ = learner_of(network, own).meta_gradient(tasks_of(network, batch, way))
    assert set(seen) == {torch.float32}
    seen.clear()
    learner = learner_of(network, own, autocast=torch.bfloat16)
    found, _ = learner.meta_gradient(tasks_of(network, batch, way))
    if way == "one by one":  # within vmap the bias is added in float32
        assert set(seen) == {torch.bfloat16}
    assert all(g.dtype == torch.float32 for g in found.values())
    if rule not in ("reptile", "adml"):  # signs of small gradients are theirs to follow
        a, b = (torch.cat([one[name].flatten() for name in exact]) for one in (found, exact))
        assert 0 < float((a - b).norm() / b.norm()) < 0.1
    values = learner.step(tasks_of(network, batch, way))
    assert all(p.dtype == torch.float32 for p in learner.parameters.values())
    assert all(abs(value) < float("inf") for value in values.values())


@pytest.mark.parametrize("rule", RULES)
def test_broken_losses_leave_parameters_rates_and_optimiser(rule):
    network, batch = small_network(), small_batch(2)
    learner = learner_of(network, RULES[rule](network))
    before = {name: p.detach().clone() for name, p in learner.parameters.items()}

    def boom(outputs, targets):
        return CROSS_ENTROPY(outputs, targets) + torch.where(
            targets[0] == batch.support_targets[1, 0], (outputs * 1e200).square().mean(), 0.0
        )

    batch.support_targets[0, 0], batch.support_targets[1, 0] = 0, 1
    with pytest.raises(TrainingError, match="NaN"):
        learner.step(one_by_one(network, boom, batch))
    for name, p in learner.parameters.items():
        assert torch.equal(p, before[name])
        assert p.grad is None


def test_parameters_are_the_networks_and_the_rules_own():
    network = small_network()
    network.body[0].requires_grad_(False)
    rates = initial_rates(network, 0)
    learner = learner_of(network, MetaSGD(rates))
    names = ["body.1.weight", "body.1.bias", "head.weight", "head.bias"]
    assert list(learner.parameters) == [*names, *(f"rate:{name}" for name in names)]
    assert learner.parameters["rate:head.bias"] is rates["rate:head.bias"]


def test_a_step_needs_a_task():
    network = small_network()
    with pytest.raises(ValueError, match="at least one task"):
        learner_of(network, MAML()).step([])


def test_tasks_are_taken_one_at_a_time():
    """The next task is asked for when the one before is done: memory holds one."""
    network, batch = small_network(), small_batch(3)
    done = []

    class Counting(PlainGradient):
        def meta_gradient(self, params, task):
            found = super().meta_gradient(params, task)
            done.append(1)
            return found

    def tasks():
        for number, task in enumerate(one_by_one(network, CROSS_ENTROPY, batch)):
            assert len(done) == number
            yield task

    learner_of(network, Counting()).step(tasks())
    assert len(done) == 3


@pytest.mark.parametrize("way", ["one by one", "stacked"])
@pytest.mark.parametrize("rule", RULES)
def test_reduce_makes_the_mean_over_all_processes_tasks(rule, way):
    """Two processes in turn: the second's message is added to the first's, shares unequal."""
    network, batch = small_network(), small_batch(5)
    own = RULES[rule](network)
    shards = [TaskBatch(*(t[part] for t in batch)) for part in (slice(0, 2), slice(2, 5))]
    sent = []
    learner_of(network, own, all_reduce=lambda flat: sent.append(flat.clone())).meta_gradient(
        tasks_of(network, shards[1], way)
    )
    learner = learner_of(network, own, all_reduce=lambda flat: flat.add_(sent[0]))
    found, losses = learner.meta_gradient(tasks_of(network, shards[0], way))
    expected, means = learner_of(network, own).meta_gradient(tasks_of(network, batch, way))
    assert_same(found, expected)
    assert losses == pytest.approx(means)
