"""SmallFaceNet: our own, to learn within minutes on a laptop's processor from random weights.

Four stages on 56 x 56 faces, each a 3x3 convolution of stride 2 and a depthwise separable one
(MobileNet; Howard et al., arXiv 1704.04861), and MobileFaceNet's global depthwise convolution. With
fewer than half a million parameters, its weights take less than 1 MB in half precision. It is for
trying things out, not for a door.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from mfr.backbones.mobilefacenet import ConvBlock
from mfr.backbones.spec import BackboneSpec
from mfr.geometry import CropGeometry

CHANNELS: Final = (32, 64, 128, 224)
"""The channels of each stage."""


class SmallFaceNet(nn.Module):
    """Features of faces of 56 x 56.

    Args:
        embedding_size: length of the features.
    """

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__()
        stages = []
        channels = 3
        for wider in CHANNELS:
            stages += [
                ConvBlock(channels, wider, 3, stride=2, padding=1),
                ConvBlock(wider, wider, 3, padding=1, groups=wider, activated=False),
                ConvBlock(wider, wider, 1),
            ]
            channels = wider
        self.stages = nn.Sequential(*stages)
        self.whole = ConvBlock(channels, channels, 4, groups=channels, activated=False)
        self.linear = nn.Linear(channels, embedding_size, bias=False)
        self.bn = nn.BatchNorm1d(embedding_size)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, 56, 56) -> (N, embedding_size), not normalised."""
        features: torch.Tensor = self.bn(self.linear(self.whole(self.stages(x)).flatten(1)))
        return features


def smallfacenet(embedding_size: int = 128) -> SmallFaceNet:
    """SmallFaceNet for faces of 56 x 56 pixels."""
    return SmallFaceNet(embedding_size)


SMALLFACENET: Final = BackboneSpec(
    smallfacenet, CropGeometry(height=56, width=56), embedding_size=128
)
