import torch
from torch import nn

from mfr.geometry import CropGeometry
from mfr.training.methods.network import FaceNetwork


def test_lower_precision_is_the_backbones_alone():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    geometry = CropGeometry(height=112, width=112)
    images = torch.randn(4, 3, 112, 112)
    whole = FaceNetwork(backbone, geometry)(images)
    lower = FaceNetwork(backbone, geometry, torch.bfloat16)(images)
    assert lower.dtype == torch.float32
    assert not torch.equal(lower, whole)
    assert torch.allclose(lower, whole, atol=0.02)
    assert torch.allclose(lower.norm(dim=1), torch.ones(4))
