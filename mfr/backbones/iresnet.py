"""The improved residual networks of ArcFace (Deng et al., CVPR 2019, section 3.2.2).

Module names are those of InsightFace's PyTorch models (``layer1.0.bn1`` and so on), so that their
``.pth`` files load as they are.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from mfr.backbones.spec import BackboneSpec
from mfr.geometry import CropGeometry

_EPSILON = 1e-5


class ResidualBlock(nn.Module):
    """BN, 3x3 conv, BN, PReLU, 3x3 conv (with the stride), BN; plus the (projected) input."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in, eps=_EPSILON)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out, eps=_EPSILON)
        self.prelu = nn.PReLU(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out, eps=_EPSILON)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out, eps=_EPSILON),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, channels_in, h, w) -> (N, channels_out, h / stride, w / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(out)) + shortcut


class IResNet(nn.Module):
    """Features of 112 x 112 faces.

    Args:
        depths: blocks in each of the four stages.
        embedding_size: length of the features.
        dropout: probability before the last layer, in training only.
    """

    def __init__(
        self, depths: tuple[int, int, int, int], embedding_size: int = 512, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64, eps=_EPSILON)
        self.prelu = nn.PReLU(64)
        self.layer1 = _stage(64, 64, depths[0])
        self.layer2 = _stage(64, 128, depths[1])
        self.layer3 = _stage(128, 256, depths[2])
        self.layer4 = _stage(256, 512, depths[3])
        self.bn2 = nn.BatchNorm2d(512, eps=_EPSILON)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(512 * 7 * 7, embedding_size)
        self.features = nn.BatchNorm1d(embedding_size, eps=_EPSILON)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.1)  # InsightFace's; BN makes the scale moot

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, 112, 112) -> (N, embedding_size), not normalised."""
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.dropout(self.bn2(x).flatten(1))
        return self.features(self.fc(x))


def _stage(channels_in: int, channels_out: int, depth: int) -> nn.Sequential:
    first = ResidualBlock(channels_in, channels_out, stride=2)
    rest = (ResidualBlock(channels_out, channels_out, stride=1) for _ in range(depth - 1))
    return nn.Sequential(first, *rest)


def iresnet18(embedding_size: int = 512, dropout: float = 0.0) -> IResNet:
    """The 18-layer network."""
    return IResNet((2, 2, 2, 2), embedding_size, dropout)


def iresnet50(embedding_size: int = 512, dropout: float = 0.0) -> IResNet:
    """The 50-layer network."""
    return IResNet((3, 4, 14, 3), embedding_size, dropout)


IRESNET18: Final = BackboneSpec(iresnet18, CropGeometry(scale=127.5), embedding_size=512)

IRESNET50: Final = BackboneSpec(iresnet50, CropGeometry(scale=127.5), embedding_size=512)
