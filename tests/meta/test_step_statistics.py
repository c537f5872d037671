"""Running statistics of their own for each inner step: moved in training, used in evaluation."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from mfr.meta.curvature import forward_over_reverse, recomputed_graph, stored_graph
from mfr.meta.functional import parameters_of
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.step_statistics import StepStatistics
from mfr.meta.supervised import one_by_one
from tests.meta.networks import (
    assert_same,
    literal_steps,
    mean_gradient,
    plain_loss,
    small_batch,
    small_network,
    snapshot,
    textbook_gradient,
)

CROSS_ENTROPY = nn.functional.cross_entropy
RATE = 0.3


def moved_by(network, params, inputs):
    """The buffers after a pass of torch's own in training mode."""
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for name, p in twin.named_parameters():
            p.copy_(params[name])
        twin.train()(inputs)
    return dict(twin.named_buffers())


def trained(network, steps):
    statistics = StepStatistics(network, steps)
    for seed in range(5):
        tasks = statistics.one_by_one(network, CROSS_ENTROPY, small_batch(4, seed))
        mean_gradient(MAML(RATE, steps), network, tasks)
    return statistics


@pytest.mark.parametrize("curvature", [stored_graph, recomputed_graph, forward_over_reverse, None])
def test_each_step_moves_its_own_once(curvature):
    network, batch = small_network(), small_batch(1)
    params = parameters_of(network)
    x, y, qx, _ = (tensor[0] for tensor in batch)
    at = [
        literal_steps(lambda _, p: plain_loss(network, p, x, y), params, RATE, k) for k in range(3)
    ]
    expected = [moved_by(network, at[k], inputs) for k, inputs in enumerate([x, x, qx])]
    before = snapshot(network)
    statistics = StepStatistics(network, 2)
    rule = MAML(RATE, 2, **({"curvature": curvature} if curvature else {"first_order": True}))
    tasks = list(statistics.one_by_one(network, CROSS_ENTROPY, batch))
    found = mean_gradient(rule, network, tasks)
    for row, buffers in enumerate(expected):
        assert_same({name: v[row] for name, v in statistics.values.items()}, buffers)
    means = statistics.values["body.1.running_mean"]
    assert not torch.allclose(means[0], means[1]) and not torch.allclose(means[1], means[2])
    assert statistics.values["body.1.num_batches_tracked"].tolist() == [1, 1, 1]
    assert_same(snapshot(network), before, 0)
    # In training every pass normalises with its own batch: the gradients are the transductive ones.
    assert_same(found, mean_gradient(rule, network, one_by_one(network, CROSS_ENTROPY, batch)))


def test_tasks_move_them_one_after_the_other():
    network, batch = small_network(), small_batch(2)
    statistics = StepStatistics(network, 1)
    tasks = statistics.one_by_one(network, CROSS_ENTROPY, batch)
    mean_gradient(MAML(RATE), network, tasks)
    params = parameters_of(network)
    twin = copy.deepcopy(network)
    for inputs in batch.support_inputs:
        for name, buffer in moved_by(twin, params, inputs).items():
            dict(twin.named_buffers())[name].copy_(buffer)
    assert_same({name: v[0] for name, v in statistics.values.items()}, dict(twin.named_buffers()))


def test_evaluation_normalises_with_them_and_moves_nothing():
    network, batch = small_network(), small_batch(2, seed=77)
    statistics = trained(network, 2)
    network.eval()
    kept = {name: v.clone() for name, v in statistics.values.items()}

    def loss_at(row, params, x, y):
        buffers = {name: v[row].clone() for name, v in kept.items()}
        return CROSS_ENTROPY(functional_call(network, {**buffers, **params}, (x,)), y)

    def objective(params):
        sums = 0.0
        for x, y, qx, qy in zip(*batch, strict=True):
            end = literal_steps(
                # The third step, which training did not have, shares the second's.
                lambda k, p, x=x, y=y: loss_at(min(k, 1), p, x, y),
                params,
                RATE,
                3,
                graph=True,
            )
            sums = sums + loss_at(2, end, qx, qy) / 2
        return sums

    tasks = list(statistics.one_by_one(network, CROSS_ENTROPY, batch))
    found = mean_gradient(MAML(RATE, 3), network, tasks)
    assert_same(found, textbook_gradient(objective, parameters_of(network)))
    assert_same(statistics.values, kept, 0)


def test_an_image_is_judged_alone_in_evaluation():
    """What the transductive rule cannot: the answer does not depend on the rest of the batch."""
    network = small_network()
    statistics = trained(network, 2)
    network.eval()
    before = snapshot(network)
    batch = small_batch(1, seed=5)
    task = next(statistics.one_by_one(network, CROSS_ENTROPY, batch))
    learner = MetaLearner(network, MAML(RATE, 2), torch.optim.SGD(network.parameters(), lr=0.1))
    adapted = statistics.settle(learner.adapt(task, 2))
    query = batch.query_inputs[0]
    torch.testing.assert_close(adapted(query)[:1], adapted(query[:1]))
    row = {name: v[-1] for name, v in statistics.values.items()}
    expected = functional_call(network, {**row, **parameters_of(adapted)}, (query,))
    torch.testing.assert_close(adapted(query), expected)
    assert_same(snapshot(network), before, 0)
    own = dict(network.named_buffers())
    assert not torch.allclose(row["body.1.running_var"], own["body.1.running_var"])


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="at least one step"):
        StepStatistics(small_network(), 0)
