"""MobileFaceNet: a million parameters made for faces (Chen et al., CCBR 2018, Table 1).

Module names are those of the PyTorch port whose checkpoints circulate (``conv1``, ``dw_conv1``,
``blocks.N.conv.M``, ``conv2``, ``linear7``, ``linear1``), so that such weights load as they are.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import torch
from torch import nn

from mfr.backbones.spec import BackboneSpec
from mfr.geometry import CropGeometry

STAGES: Final = (
    # expansion, channels, repeats, stride of the first block
    (2, 64, 5, 2),
    (4, 128, 1, 2),
    (2, 128, 6, 1),
    (4, 128, 1, 2),
    (2, 128, 2, 1),
)
"""The bottleneck stages of Chen et al., Table 1."""


class ConvBlock(nn.Sequential):
    """Convolution without bias, batch normalisation and, if ``activated``, PReLU."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        *,
        activated: bool = True,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv=nn.Conv2d(
                channels_in, channels_out, kernel, stride, padding, groups=groups, bias=False
            ),
            bn=nn.BatchNorm2d(channels_out),
        )
        if activated:
            layers["prelu"] = nn.PReLU(channels_out)
        super().__init__(layers)


class Bottleneck(nn.Module):
    """Inverted residual: 1x1 expansion, 3x3 depthwise, 1x1 linear projection."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.residual = stride == 1 and channels_in == channels_out
        inner = channels_in * expansion
        self.conv = nn.Sequential(
            nn.Conv2d(channels_in, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, channels_in, h, w) -> (N, channels_out, h / stride, w / stride)."""
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileFaceNet(nn.Module):
    """Features of faces 112 high and 112 or 96 wide.

    Args:
        final_kernel: height and width of the last feature map, 1/16 of the input's; the global
            depthwise convolution ``linear7`` covers it whole.
        embedding_size: length of the features.
    """

    def __init__(self, final_kernel: tuple[int, int], embedding_size: int = 128) -> None:
        super().__init__()
        self.conv1 = ConvBlock(3, 64, 3, stride=2, padding=1)
        self.dw_conv1 = ConvBlock(64, 64, 3, padding=1, groups=64)
        blocks = []
        channels = 64
        for expansion, channels_out, repeats, stride in STAGES:
            for position in range(repeats):
                first = position == 0
                blocks.append(Bottleneck(channels, channels_out, stride if first else 1, expansion))
                channels = channels_out
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = ConvBlock(channels, 512, 1)
        self.linear7 = ConvBlock(512, 512, final_kernel, groups=512, activated=False)
        self.linear1 = ConvBlock(512, embedding_size, 1, activated=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)  # fan-in, right for depthwise too

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, 112, 112 or 96) -> (N, embedding_size), not normalised."""
        x = self.blocks(self.dw_conv1(self.conv1(x)))
        return self.linear1(self.linear7(self.conv2(x))).flatten(1)


def mobilefacenet(embedding_size: int = 128) -> MobileFaceNet:
    """MobileFaceNet for 112 x 112 faces."""
    return MobileFaceNet((7, 7), embedding_size)


def mobilefacenet_112x96(embedding_size: int = 128) -> MobileFaceNet:
    """MobileFaceNet for faces 112 high and 96 wide."""
    return MobileFaceNet((7, 6), embedding_size)


MOBILEFACENET: Final = BackboneSpec(mobilefacenet, CropGeometry(), embedding_size=128)

MOBILEFACENET_112X96: Final = BackboneSpec(
    mobilefacenet_112x96,
    # The template of such networks is ours shifted by 8 pixels to the left.
    CropGeometry(width=96, columns=(8, 104)),
    embedding_size=128,
)
