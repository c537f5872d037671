import copy

import pytest
import torch
from torch import nn

from mfr.geometry import CropGeometry
from mfr.training.methods.distillation import StartFeatures, distance
from mfr.training.methods.network import FaceNetwork


def network():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=8), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    return FaceNetwork(layers, CropGeometry(height=112, width=112))


def test_the_start_is_remembered_and_learns_nothing():
    training = network().train()
    start = StartFeatures(training)
    crops = torch.randint(0, 256, (3, 112, 112, 3), dtype=torch.uint8)
    first = start(crops)
    assert not first.requires_grad
    assert torch.allclose(first, copy.deepcopy(training).eval()(training.images(crops)))
    training(training.images(crops))  # moves running statistics
    with torch.no_grad():
        training.backbone[0].weight.add_(1)
    assert torch.equal(start(crops), first)


def test_distance_is_of_cosines():
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    of_start = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    assert float(distance(features, of_start)) == pytest.approx((0 + 0.2) / 2)
