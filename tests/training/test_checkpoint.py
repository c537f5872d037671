import pytest
import torch
from torch import nn

from mfr.errors import TrainingError
from mfr.training import checkpoint


def make(seed=0):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    return network, torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)


def step(network, optimiser, seed):
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(seed))
    optimiser.zero_grad()
    network(inputs).square().sum().backward()
    optimiser.step()


def test_training_goes_on_to_the_bit(tmp_path):
    network, optimiser = make()
    step(network, optimiser, 1)
    path = checkpoint.write(tmp_path, checkpoint.capture(1, network, optimiser))
    step(network, optimiser, 2)
    other, other_optimiser = make(seed=5)
    state = checkpoint.read(path)
    checkpoint.restore(state, other, other_optimiser)
    step(other, other_optimiser, 2)
    assert state.step == 1
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


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
