import torch
from torch import nn

from mfr.training.averaging import AveragedWeights, between


def test_the_mean_of_some_steps():
    network = nn.BatchNorm1d(2)
    average = AveragedWeights()
    for value in (1.0, 2.0, 6.0):
        with torch.no_grad():
            network.weight.fill_(value)
            network.running_mean.fill_(-value)
            network.num_batches_tracked.fill_(int(value))
        average.add(network)
    assert average.count == 3
    assert average.weights["weight"].tolist() == [3.0, 3.0]
    assert average.weights["running_mean"].tolist() == [-3.0, -3.0]
    assert average.weights["num_batches_tracked"] == 6  # a count is no quantity to average
    assert network.weight.tolist() == [6.0, 6.0]


def test_points_between_start_and_end():
    start = {"w": torch.tensor([0.0, 4.0]), "n": torch.tensor(1)}
    end = {"w": torch.tensor([1.0, 0.0]), "n": torch.tensor(7)}
    found = between(start, end, 0.25)
    assert found["w"].tolist() == [0.25, 3.0]
    assert found["n"] == 7
    assert torch.equal(between(start, end, 1.0)["w"], end["w"])
