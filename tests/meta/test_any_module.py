"""Any module works unchanged in every meta learner, and comes back unchanged.

Expected values come from the module alone: its own parameters are set, it is called, and autograd
takes first derivatives. Nothing of the library is used for them.
"""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mfr.errors import TrainingError
from mfr.meta.adml import ADML
from mfr.meta.attacks import FGSM
from mfr.meta.batching import Batching
from mfr.meta.curvature import forward_over_reverse, recomputed_graph, stored_graph
from mfr.meta.functional import parameters_of
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.meta_sgd import MetaSGD, initial_rates
from mfr.meta.mfr import MFR
from mfr.meta.mldg import MLDG
from mfr.meta.reptile import Reptile
from mfr.meta.rule import PlainGradient
from mfr.meta.supervised import one_by_one, stacked
from tests.meta.awkward_networks import AWKWARD, NO_FORWARD_MODE, NO_STACK, NOT_SMOOTH
from tests.meta.networks import assert_differentiates, assert_same, small_batch

RATE, STEPS = 0.2, 2
CURVATURES = {
    "stored": stored_graph,
    "recomputed": recomputed_graph,
    "forward": forward_over_reverse,
}
SECOND_ORDER = {
    "maml": lambda network, curvature: MAML(RATE, STEPS, curvature=curvature),
    "meta-sgd": lambda network, curvature: MetaSGD(initial_rates(network, 0), curvature=curvature),
    "adml": lambda network, curvature: ADML(
        RATE, RATE, attack=FGSM(0.1, -9.0, 9.0), curvature=curvature
    ),
    "mfr": lambda network, curvature: MFR(RATE, 0.4, curvature=curvature),
    "mldg": lambda network, curvature: MLDG(RATE, curvature=curvature),
}
FIRST_ORDER = {
    "maml, first order": lambda network: MAML(RATE, STEPS, first_order=True),
    "reptile": lambda network: Reptile(STEPS),
    "plain": lambda network: PlainGradient(),
}
RULES = FIRST_ORDER | {
    name: lambda network, rule=rule: rule(network, stored_graph)
    for name, rule in SECOND_ORDER.items()
}


def made(name):
    torch.manual_seed(0)
    return AWKWARD[name]().double().train()


def learner_of(network, rule):
    own = list(rule.own_parameters.values())
    return MetaLearner(network, rule, torch.optim.SGD([*network.parameters(), *own], lr=0.1))


def tensors(network):
    """Every place of a network, with the very tensor in it."""
    return {
        (path, key): held[key]
        for path, module in network.named_modules()
        for held in (module._parameters, module._buffers)
        for key in held
    }


def assert_untouched(network, before, values):
    now = tensors(network)
    assert now.keys() == before.keys()
    for place, tensor in before.items():
        assert now[place] is tensor, place
        assert tensor is None or torch.equal(tensor, values[place]), place
    for name, p in network.named_parameters():
        assert p.is_leaf and isinstance(p, nn.Parameter) and p.grad is None, name


def by_hand(name, batch, number, steps=STEPS):
    """params -> the query loss after inner steps of SGD, by in-place changes of a network."""
    x, y, query_x, query_y = (tensor[number] for tensor in batch)
    start = made(name).state_dict()

    def function(params):
        own = made(name)
        torch.manual_seed(7)
        places = dict(own.named_parameters())
        trained = {n for n, _ in own.named_parameters(remove_duplicate=False)}

        def set_buffers():
            own.load_state_dict({n: b for n, b in start.items() if n not in trained}, strict=False)

        with torch.no_grad():
            for n, p in places.items():
                p.copy_(params[n])
        for _ in range(steps):
            set_buffers()
            loss = cross_entropy(own(x), y)
            gradients = torch.autograd.grad(loss, list(places.values()), allow_unused=True)
            with torch.no_grad():
                for p, g in zip(places.values(), gradients, strict=True):
                    if g is not None:
                        p -= RATE * g
        set_buffers()
        function.end = {n: p.detach().clone() for n, p in places.items()}
        return cross_entropy(own(query_x), query_y)

    return function


@pytest.mark.parametrize("name", [name for name in AWKWARD if name not in NOT_SMOOTH])
def test_the_meta_gradient_is_that_of_finite_differences(name):
    network, batch = made(name), small_batch(1)
    learner = learner_of(network, MAML(RATE, STEPS))
    torch.manual_seed(7)
    found, _ = learner.meta_gradient(one_by_one(network, cross_entropy, batch))
    assert_differentiates(found, by_hand(name, batch, 0), parameters_of(network))


@pytest.mark.parametrize("name", AWKWARD)
def test_adapting_is_inner_steps_by_hand(name):
    network, batch = made(name), small_batch(1)
    (task,) = one_by_one(network, cross_entropy, batch)
    network.eval()(batch.query_inputs[0])  # leaves behind what the network keeps
    network.train()
    torch.manual_seed(7)
    adapted = learner_of(network, MAML(RATE)).adapt(task.support, STEPS)
    function = by_hand(name, batch, 0)
    function(parameters_of(network))
    assert_same(parameters_of(adapted), function.end)
    # The copy computes with its own parameters, whatever it had kept.
    twin = made(name)
    twin.load_state_dict(adapted.state_dict())
    assert torch.equal(*(n.eval()(batch.query_inputs[0]) for n in (adapted, twin)))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", AWKWARD)
def test_every_call_leaves_the_network_its_own_tensors(name, rule):
    network, batch = made(name), small_batch(2)
    learner = learner_of(network, RULES[rule](network))
    before = tensors(network)
    values = {place: None if t is None else t.detach().clone() for place, t in before.items()}
    tasks = list(one_by_one(network, cross_entropy, batch))
    learner.meta_gradient(tasks)
    assert_untouched(network, before, values)
    learner.adapt(tasks[0], 2)
    assert_untouched(network, before, values)
    learner.step(tasks)
    for place, tensor in tensors(network).items():
        assert tensor is before[place], place
    assert any(t is not None and not torch.equal(t, values[place]) for place, t in before.items())


@pytest.mark.filterwarnings("ignore:Tasks are taken one by one")
@pytest.mark.parametrize("name", AWKWARD)
def test_batching_computes_what_tasks_one_by_one_do(name):
    network, batch = made(name), small_batch(3)
    before = tensors(network)
    values = {place: None if t is None else t.detach().clone() for place, t in before.items()}
    learner = learner_of(network, MAML(RATE, STEPS))
    found, _ = learner.meta_gradient(Batching(network, cross_entropy)(batch))
    assert_untouched(network, before, values)
    if "dropout" not in name:  # other masks
        one = learner.meta_gradient(one_by_one(network, cross_entropy, batch))[0]
        assert_same(found, one)
    learner.adapt(next(one_by_one(network, cross_entropy, batch)), 1)  # after what stacks left


@pytest.mark.parametrize("name", sorted(NO_STACK))
def test_what_cannot_be_stacked_is_taken_one_by_one_and_a_warning_says_so_once(name):
    network, batch = made(name), small_batch(3)
    batching = Batching(network, cross_entropy)
    with pytest.warns(UserWarning, match="one by one") as seen:
        assert [task.stack for task in batching(batch)] == [None] * 3
        assert [task.stack for task in batching(small_batch(3, shots=4))] == [None] * 3
    assert sum("one by one" in str(one.message) for one in seen) == 1
    with pytest.raises(TrainingError, match="one by one"):
        learner_of(network, MAML(RATE)).meta_gradient([stacked(network, cross_entropy, batch)])


def test_what_can_be_stacked_is():
    for name in AWKWARD.keys() - NO_STACK:
        (task,) = Batching(made(name), cross_entropy)(small_batch(3))
        assert task.stack == 3, name


@pytest.mark.parametrize("rule", SECOND_ORDER)
@pytest.mark.parametrize("name", AWKWARD)
def test_curvatures_agree(name, rule):
    network, batch = made(name), small_batch(1)
    found = {}
    for way, curvature in CURVATURES.items():
        torch.manual_seed(7)
        learner = learner_of(network, SECOND_ORDER[rule](network, curvature))
        tasks = one_by_one(network, cross_entropy, batch)
        if way == "forward" and name in NO_FORWARD_MODE:
            with pytest.raises(TrainingError, match="in forward mode: take another curvature"):
                learner.meta_gradient(tasks)
        else:
            found[way], _ = learner.meta_gradient(tasks)
            assert_same(found[way], found["stored"])
