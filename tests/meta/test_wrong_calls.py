"""What a meta learner is asked by mistake: it works, or says in one sentence what to do."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mfr.errors import TrainingError
from mfr.meta.curvature import forward_over_reverse, recomputed_graph, stored_graph
from mfr.meta.few_shot_evaluation import after_steps
from mfr.meta.functional import Task, forward_isolated
from mfr.meta.inner_loop import Update
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.meta_sgd import MetaSGD, initial_rates
from mfr.meta.reptile import Reptile, carried_moments
from mfr.meta.supervised import one_by_one, stacked
from tests.meta.awkward_networks import dropout
from tests.meta.networks import assert_same, small_batch, small_network, snapshot


def learner_of(network, rule):
    parameters = [p for p in network.parameters() if p.requires_grad] or [torch.zeros(1)]
    return MetaLearner(network, rule, torch.optim.SGD(parameters, lr=0.1))


def tasks_of(network, batch):
    return list(one_by_one(network, cross_entropy, batch))


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_whatever_mode_is_entered(context):
    batch, results = small_batch(2), []
    for entered in (torch.enable_grad, context):
        network = small_network()
        learner = learner_of(network, MAML(0.1, 2))
        tasks = tasks_of(network, batch)
        with entered():
            adapted = learner.adapt(tasks[0], 2)
            ahead = after_steps(learner, tasks[0], (1,))[1]
            learner.step(tasks)
        results.append((snapshot(network), snapshot(adapted), ahead))
        adapted(batch.query_inputs[0]).sum().backward()  # an ordinary network
    for found, expected in zip(*results, strict=True):
        assert_same(found, expected, 0)


def test_data_made_in_inference_mode_are_refused():
    network = small_network()
    with torch.inference_mode():
        batch = small_batch(1)
    with pytest.raises(TrainingError, match="made under torch"):
        learner_of(network, MAML(0.1)).adapt(tasks_of(network, batch)[0], 1)


@pytest.mark.parametrize("rule", [MAML, Reptile])
def test_adapts_that_matches_no_name_is_refused_with_the_names(rule):
    network, batch = small_network(), small_batch(1)
    learner = learner_of(network, rule(adapts=lambda name: name.startswith("haed")))
    for call in (
        lambda: learner.meta_gradient(tasks_of(network, batch)),
        lambda: learner.adapt(tasks_of(network, batch)[0], 1),
    ):
        with pytest.raises(TrainingError, match=r"none of the names \(body.0.weight, "):
            call()


def test_an_inner_loop_of_no_steps():
    network, batch = small_network(), small_batch(1)
    task = tasks_of(network, batch)[0]
    for rule in (MAML(steps=0), MetaSGD(initial_rates(network, 0), steps=0), Reptile(steps=0)):
        with pytest.raises(TrainingError, match="at least one inner step"):
            learner_of(network, rule).meta_gradient([task])
    learner = learner_of(network, MAML())
    assert_same(snapshot(learner.adapt(task, 0)), snapshot(network), 0)
    with pytest.raises(TrainingError, match="-1 steps"):
        learner.adapt(task, -1)


def test_a_frozen_network():
    network, batch = small_network().requires_grad_(False), small_batch(1)
    task = tasks_of(network, batch)[0]
    learner = learner_of(network, MAML())
    with pytest.raises(TrainingError, match="frozen"):
        learner.step([task])
    with pytest.raises(TrainingError, match="frozen"):
        learner.adapt(task, 1)
    assert_same(snapshot(learner.adapt(task, 0)), snapshot(network), 0)


@pytest.mark.parametrize("curvature", [stored_graph, recomputed_graph, forward_over_reverse])
def test_a_loss_without_a_graph_is_refused(curvature):
    network = nn.Linear(2, 2)
    task = Task(lambda p: {"rounded": p["weight"].detach().sum()})
    with pytest.raises(TrainingError, match=r"The losses \(rounded\) depend on none"):
        learner_of(network, MAML()).adapt(task, 1)
    task = Task(task.support, lambda p: {"loss": p["weight"].square().sum()})
    with pytest.raises(TrainingError, match="depend on none"):
        learner_of(network, MAML(curvature=curvature)).meta_gradient([task])


@dataclass(frozen=True)
class Decaying(Update):
    """theta <- theta - rate / n g in step n, counted in an integer."""

    rate: float

    def start(self, params):
        return {"step": torch.ones((), dtype=torch.int64)}

    def __call__(self, state, gradients):
        rate = self.rate / state["step"]
        return {n: state[n] - rate * g for n, g in gradients.items()} | {"step": state["step"] + 1}


@dataclass(frozen=True)
class DecayingFloat(Decaying):
    def start(self, params):
        return {"step": torch.ones(())}


@pytest.mark.parametrize("way", [one_by_one, stacked])
def test_an_update_may_count_in_integers(way):
    network, batch = small_network(), small_batch(2)
    found, expected = (
        learner_of(network, MAML(steps=3, update=update(0.2))).meta_gradient(
            way(network, cross_entropy, batch)
            if way is one_by_one
            else [way(network, cross_entropy, batch)]
        )[0]
        for update in (Decaying, DecayingFloat)
    )
    assert_same(found, expected)
    with pytest.raises(TrainingError, match="step, which the update keeps, is of"):
        carried_moments(network, Decaying(0.2))


def test_a_function_without_a_second_derivative_is_named():
    network = nn.EmbeddingBag(4, 3)
    words = torch.tensor([[0, 1]])

    def objective(params):
        return {"loss": forward_isolated(network, params, words).square().sum()}

    learner = learner_of(network, MAML())
    with pytest.raises(TrainingError, match=r"first_order=True.*_embedding_bag_backward"):
        learner.meta_gradient([Task(objective, objective)])
    learner_of(network, MAML(first_order=True)).meta_gradient([Task(objective, objective)])


@pytest.mark.parametrize("curvature", [recomputed_graph, forward_over_reverse])
def test_repeating_a_pass_draws_the_same_random_numbers_and_leaves_the_generators(curvature):
    """PyTorch's generator, NumPy's and Python's are afterwards where they would have been."""
    import random

    drawn = []

    def objective(params):
        drawn.append((float(torch.rand(())), np.random.rand(), random.random()))  # noqa: NPY002
        return {"loss": (params["x"] ** 3).sum()}

    params = {"x": torch.ones(2)}
    _, _, product = curvature(objective, params, ["x"])
    expected = torch.get_rng_state(), random.getstate(), np.random.get_state()[1:]  # noqa: NPY002
    torch.rand(3)
    torch.set_rng_state(expected[0])
    product({"x": torch.ones(2)})
    product({"x": torch.ones(2)})
    assert drawn[0] == drawn[1] == drawn[2]
    assert torch.equal(torch.get_rng_state(), expected[0])
    assert random.getstate() == expected[1]
    assert np.array_equal(np.random.get_state()[1], expected[2][0])  # noqa: NPY002


def test_curvatures_take_the_same_masks_in_stacks():
    network, batch = dropout().double(), small_batch(3)
    found = []
    for curvature in (stored_graph, recomputed_graph, forward_over_reverse):
        torch.manual_seed(3)
        tasks = [stacked(network, cross_entropy, batch)]
        rule = MAML(0.2, 2, curvature=curvature)
        found.append(learner_of(network, rule).meta_gradient(tasks)[0])
    assert_same(found[1], found[0])
    assert_same(found[2], found[0])
