"""Other tensors in a network's places: where, for how long, and what runs later."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from mfr.errors import TrainingError
from mfr.meta.curvature import forward_over_reverse, recomputed_graph, stored_graph
from mfr.meta.functional import Task, forward_isolated, forward_updating, parameters_of
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.mfr import MFR
from mfr.meta.step_statistics import StepStatistics
from mfr.meta.substitution import substituted
from tests.meta.awkward_networks import Aliased, Reassigning, Tied, checkpointed
from tests.meta.networks import small_batch, small_network, snapshot


def test_a_tensor_is_replaced_under_all_its_names_whichever_is_given():
    network, value = Aliased(), torch.zeros(5, 18)
    for name in ("body.weight", "whole.1.weight"):
        own = network.body.weight
        with substituted(network, {name: value}):
            assert network.body.weight is value and network.whole[1].weight is value
        assert network.body.weight is own and network.whole[1].weight is own
    tied, value = Tied(), torch.zeros(18, 18)
    for name in ("one.weight", "two.weight"):
        with substituted(tied, {name: value}):
            assert tied.one.weight is value and tied.two.weight is value
        assert tied.one.weight is tied.two.weight is not value


def test_what_cannot_be_replaced_is_refused():
    network = Aliased()
    with (
        pytest.raises(ValueError, match="whose values differ"),
        substituted(network, {"body.bias": torch.zeros(5), "whole.1.bias": torch.ones(5)}),
    ):
        pass
    with pytest.raises(ValueError, match="no parameter or buffer called nose"):
        forward_isolated(network, {"nose": torch.zeros(5)}, torch.zeros(1, 2, 3, 3))
    traced = torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2))
    with pytest.raises(TrainingError, match="compiled by torch"):
        forward_isolated(traced, parameters_of(traced), torch.zeros(1, 2))


def test_all_is_put_back_after_an_error():
    network = Aliased()
    own = dict(network.named_parameters())
    with pytest.raises(RuntimeError):
        forward_isolated(network, {"body.weight": torch.zeros(5, 18)}, torch.zeros(1, 2))
    assert all(p is own[name] for name, p in network.named_parameters())


def test_a_checkpoint_in_an_objective_of_two_passes_at_different_parameters_is_refused():
    network = checkpointed().double()
    images = small_batch(1).support_inputs[0]

    def objective(params):
        other = {name: 2 * p for name, p in params.items()}
        one, two = (forward_isolated(network, values, images) for values in (params, other))
        return {"loss": (one - two).square().mean()}

    learner = MetaLearner(network, MAML(0.1), torch.optim.SGD(network.parameters(), 0.1))
    with pytest.raises(TrainingError, match="several parameters"):
        learner.meta_gradient([Task(objective, objective)])
    own = dict(network.named_parameters())
    assert all(isinstance(p, nn.Parameter) for p in own.values())
    assert all(not torch.equal(p, torch.zeros_like(p)) for p in own.values())


def test_reentrant_checkpoints_are_refused():
    class Reentrant(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(18, 3)

        def forward(self, x):
            x = x.flatten(1).requires_grad_()
            return checkpoint(self.body, x, use_reentrant=True)

    network = Reentrant().double()
    (x,), (y,) = small_batch(1)[:2]
    task = Task(lambda p: {"loss": cross_entropy(forward_isolated(network, p, x), y)})
    learner = MetaLearner(network, MAML(0.1), torch.optim.SGD(network.parameters(), 0.1))
    with pytest.raises(TrainingError, match="use_reentrant=False"):
        learner.adapt(task, 1)


def test_parameters_held_outside_a_modules_parameters_are_refused():
    class Listing(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(18, 3)
            self.listed = [self.head.weight]

        def forward(self, x):
            return nn.functional.linear(x.flatten(1), self.listed[0], self.head.bias)

    network = Listing().double()
    (x,), (y,) = small_batch(1)[:2]
    task = Task(lambda p: {"loss": cross_entropy(forward_isolated(network, p, x), y)})
    learner = MetaLearner(network, MAML(0.1), torch.optim.SGD(network.parameters(), 0.1))
    with pytest.raises(TrainingError, match="outside its modules' parameters"):
        learner.adapt(task, 1)


@pytest.mark.parametrize("curvature", [stored_graph, recomputed_graph, forward_over_reverse])
def test_running_statistics_are_updated_once_whatever_the_curvature(curvature):
    """By the meta-train pass at theta, and not by a repetition of it."""
    network, batch = small_network(), small_batch(1)
    x, y, query_x, query_y = (side[0] for side in batch)
    task = Task(
        lambda p: {"loss": cross_entropy(forward_updating(network, p, x), y)},
        lambda p: {"loss": cross_entropy(forward_isolated(network, p, query_x), query_y)},
    )
    learner = MetaLearner(network, MFR(curvature=curvature), torch.optim.SGD([torch.zeros(1)], 1.0))
    learner.meta_gradient([task])
    expected = small_network()
    expected(x)
    for name, value in snapshot(expected).items():
        assert torch.equal(snapshot(network)[name], value), name
    assert int(network.body[1].num_batches_tracked) == 1


@pytest.mark.parametrize("forward", [forward_isolated, forward_updating])
def test_a_checkpointed_pass_moves_running_statistics_like_one_without(forward):
    class Normalised(nn.Module):
        def __init__(self, again):
            super().__init__()
            torch.manual_seed(0)
            self.body, self.head, self.again = nn.BatchNorm1d(18), nn.Linear(18, 3), again

        def forward(self, x):
            x = x.flatten(1)
            x = checkpoint(self.body, x, use_reentrant=False) if self.again else self.body(x)
            return self.head(x)

    moved = []
    for again in (True, False):
        network = Normalised(again).double()
        x, y, query_x, query_y = (side[0] for side in small_batch(1))
        task = Task(
            lambda p, n=network, x=x, y=y: {"loss": cross_entropy(forward(n, p, x), y)},
            lambda p, n=network, x=query_x, y=query_y: {
                "loss": cross_entropy(forward_isolated(n, p, x), y)
            },
        )
        MFR(0.1).meta_gradient(parameters_of(network), task)
        moved.append(snapshot(network))
    assert all(torch.equal(moved[0][name], moved[1][name]) for name in moved[0])
    assert int(moved[0]["body.num_batches_tracked"]) == (forward is forward_updating)


def test_step_statistics_of_shared_and_of_reassigned_buffers():
    """A module that puts a new tensor in a buffer's place moves the step's statistics too."""
    network, batch = Reassigning().double(), small_batch(1)
    statistics = StepStatistics(network, 1)
    learner = MetaLearner(network, MAML(0.1), torch.optim.SGD(network.parameters(), 0.1))
    learner.meta_gradient(statistics.one_by_one(network, cross_entropy, batch))
    expected = torch.stack([0.1 * side[0].flatten(1).mean(0) for side in batch[::2]])
    torch.testing.assert_close(statistics.values["mean"], expected)
    assert torch.equal(network.mean, torch.zeros(18))

    normalise = nn.BatchNorm1d(18)
    shared = nn.Sequential(nn.Flatten(), normalise, nn.Tanh(), normalise, nn.Linear(18, 3)).double()
    before = dict(shared.named_buffers(remove_duplicate=False))
    statistics = StepStatistics(shared, 1)
    learner = MetaLearner(shared, MAML(0.1), torch.optim.SGD(shared.parameters(), 0.1))
    learner.meta_gradient(statistics.one_by_one(shared, cross_entropy, batch))
    assert statistics.values["1.num_batches_tracked"].tolist() == [2, 2]
    after = dict(shared.named_buffers(remove_duplicate=False))
    assert all(after[name] is b for name, b in before.items())
    assert int(normalise.num_batches_tracked) == 0
