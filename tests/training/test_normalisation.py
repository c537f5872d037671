import torch
from torch import nn

from mfr.training.normalisation import train_with_frozen_statistics


def test_statistics_stay_and_weights_and_dropout_train():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    train_with_frozen_statistics(network)
    before = network[1].running_mean.clone()
    output = network(torch.randn(6, 3))
    output.sum().backward()
    assert torch.equal(network[1].running_mean, before)
    assert network[1].num_batches_tracked == 0
    assert network[1].weight.grad.abs().sum() > 0
    assert network[2].training
    # What one image gives does not depend on the others of its batch.
    network.eval()
    images = torch.randn(4, 3)
    alone = network(images[:1])
    train_with_frozen_statistics(network)
    network[2].eval()
    assert torch.allclose(network(images)[:1], alone)
