import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mfr.errors import TrainingError
from mfr.training import checkpoint
from tests.training.methods.outside import Counting, Listing


def make(seed=0, optimiser=torch.optim.SGD, **options):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    options = options or ({"momentum": 0.9} if optimiser is torch.optim.SGD else {})
    return network, optimiser(network.parameters(), lr=0.1, **options)


def step(network, optimiser, seed):
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(seed))
    optimiser.zero_grad()
    network(inputs).square().sum().backward()
    optimiser.step()


OPTIMISERS = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "sgd without momentum": (torch.optim.SGD, {"momentum": 0.0}),
    "adamw": (torch.optim.AdamW, {"amsgrad": True}),
    "nadam": (torch.optim.NAdam, {}),
    "asgd": (torch.optim.ASGD, {"t0": 1}),
    "rprop": (torch.optim.Rprop, {}),
    "adagrad": (torch.optim.Adagrad, {}),
    "of a user, with plain numbers": (Counting, {}),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_training_goes_on_to_the_bit(tmp_path, name):
    kind, options = OPTIMISERS[name]
    network, optimiser = make(optimiser=kind, **options)
    step(network, optimiser, 1)
    path = checkpoint.write(tmp_path, checkpoint.capture(1, network, optimiser))
    step(network, optimiser, 2)
    other, other_optimiser = make(seed=5, optimiser=kind, **options)
    state = checkpoint.read(path)
    checkpoint.restore(state, other, other_optimiser)
    step(other, other_optimiser, 2)
    assert state.step == 1
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_what_an_optimiser_keeps_is_kept_by_name(tmp_path):
    network, optimiser = make(optimiser=torch.optim.AdamW)
    step(network, optimiser, 1)
    path = checkpoint.write(tmp_path, checkpoint.capture(1, network, optimiser))
    kept = {name for name in load_file(path) if name.startswith("optimiser/")}
    assert kept == {
        f"optimiser/{key}/{name}"
        for key in ("step", "exp_avg", "exp_avg_sq")
        for name, _ in network.named_parameters()
    }
    network, optimiser = make(optimiser=Counting)
    step(network, optimiser, 1)
    state = checkpoint.read(checkpoint.write(tmp_path, checkpoint.capture(2, network, optimiser)))
    assert state.numbers == {f"count/{name}": 1 for name, _ in network.named_parameters()}
    assert state.groups[0]["taken"] == 1


def test_tied_weights_are_kept(tmp_path):
    network = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    network[1].weight = network[0].weight
    keeper = Keeper("weight", 0.0)
    keeper.kept = {"weight": network[0].weight}
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    path = checkpoint.write(tmp_path, checkpoint.capture(1, network, optimiser, keeper))
    weight = network[0].weight.detach().clone()
    with torch.no_grad():
        network[0].weight.zero_()
    checkpoint.restore(checkpoint.read(path), network, optimiser, keeper)
    assert torch.equal(network[1].weight, weight)
    assert torch.equal(keeper.kept["weight"], weight)


def test_another_optimisers_checkpoint_is_refused(tmp_path):
    network, optimiser = make()
    step(network, optimiser, 1)
    path = checkpoint.write(tmp_path, checkpoint.capture(1, network, optimiser))
    other, adam = make(optimiser=torch.optim.Adam)
    with pytest.raises(TrainingError, match="of the optimiser SGD and this run's is Adam"):
        checkpoint.restore(checkpoint.read(path), other, adam)


def test_what_no_checkpoint_can_hold_is_refused():
    network, optimiser = make(optimiser=Listing)
    step(network, optimiser, 1)
    with pytest.raises(TrainingError, match=r"Listing keeps history/0.weight as a list"):
        checkpoint.capture(1, network, optimiser)


def test_a_checkpoint_of_version_1_is_read_and_one_of_the_future_is_not(tmp_path):
    network, optimiser = make()
    step(network, optimiser, 1)
    path = checkpoint.write(tmp_path, checkpoint.capture(1, network, optimiser))
    tensors = load_file(path)
    old = {n.replace("optimiser/momentum_buffer/", "momentum/"): t for n, t in tensors.items()}
    assert old.keys() != tensors.keys()
    save_file(old, path, metadata={"mfr-checkpoint": json.dumps({"step": 1})})
    step(network, optimiser, 2)
    other, other_optimiser = make(seed=5)
    checkpoint.restore(checkpoint.read(path), other, other_optimiser)
    step(other, other_optimiser, 2)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    save_file(tensors, path, metadata={"mfr-checkpoint": json.dumps({"step": 1, "version": 4})})
    with pytest.raises(TrainingError, match=r"is of version 4, this program reads up to 3"):
        checkpoint.read(path)


class Keeper:
    """Keeps a tensor beside the network."""

    def __init__(self, name, value):
        self.kept = {name: torch.tensor([value])}

    def state_dict(self):
        return self.kept

    def load_state_dict(self, tensors):
        self.kept = dict(tensors)


def test_what_a_method_keeps_comes_back(tmp_path):
    network, optimiser = make()
    state = checkpoint.capture(1, network, optimiser, Keeper("mean", 3.0))
    path = checkpoint.write(tmp_path, state)
    assert load_file(path)["method/mean"] == 3.0
    keeper = Keeper("mean", 0.0)
    checkpoint.restore(checkpoint.read(path), network, optimiser, keeper)
    assert keeper.kept["mean"] == 3.0
    for other in (Keeper("median", 0.0), None):
        with pytest.raises(TrainingError, match="another method"):
            checkpoint.restore(checkpoint.read(path), network, optimiser, other)


def test_the_newest_two_are_kept(tmp_path):
    network, optimiser = make()
    for done in (0, 5, 10, 15):
        checkpoint.write(tmp_path, checkpoint.capture(done, network, optimiser))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step-00000010.safetensors",
        "step-00000015.safetensors",
    ]
    assert checkpoint.read(checkpoint.latest(tmp_path)).step == 15


def test_what_is_no_checkpoint_is_refused(tmp_path):
    network, optimiser = make()
    path = checkpoint.write(tmp_path, checkpoint.capture(3, network, optimiser))
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not safetensors at all"):
        path.write_bytes(damaged)
        with pytest.raises(TrainingError, match="truncated or damaged"):
            checkpoint.read(path)
    assert checkpoint.latest(tmp_path / "nowhere") is None


def test_another_networks_checkpoint_is_refused(tmp_path):
    network, optimiser = make()
    path = checkpoint.write(tmp_path, checkpoint.capture(3, network, optimiser))
    other = nn.Linear(2, 2)
    with pytest.raises(TrainingError, match="another network"):
        checkpoint.restore(checkpoint.read(path), other, torch.optim.SGD(other.parameters(), lr=1))


def test_a_flipped_bit_is_noticed(tmp_path):
    network, optimiser = make()
    step(network, optimiser, 1)
    path = checkpoint.write(tmp_path, checkpoint.capture(1, network, optimiser))
    whole = bytearray(path.read_bytes())
    for place in (-1, -100, -200):
        spoilt = whole.copy()
        spoilt[place] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(TrainingError, match=r"was altered after it was written: delete it"):
            checkpoint.read(path)
    path.write_bytes(whole)
    assert checkpoint.read(path).step == 1


def test_a_checkpoint_of_version_2_has_no_seal_and_is_read(tmp_path):
    network, optimiser = make()
    path = checkpoint.write(tmp_path, checkpoint.capture(1, network, optimiser))
    header = json.dumps({"version": 2, "step": 1, "groups": [], "numbers": {}})
    save_file(load_file(path), path, metadata={"mfr-checkpoint": header})
    assert checkpoint.read(path).step == 1
    save_file(load_file(path), path, metadata={"mfr-checkpoint": header.replace("2", "3", 1)})
    with pytest.raises(TrainingError, match="altered"):
        checkpoint.read(path)


def test_a_header_nested_beyond_measure_is_told(tmp_path):
    path = tmp_path / "step-00000001.safetensors"
    save_file({"w": torch.ones(1)}, path, metadata={"mfr-checkpoint": "[" * 100_000})
    with pytest.raises(TrainingError, match="damaged"):
        checkpoint.read(path)
