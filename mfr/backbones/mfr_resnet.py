"""The 28-layer residual network of MFR (Guo et al., CVPR 2020, section 4.1).

The paper says: a 28-layer ResNet with channel-number multiplier 0.5, 120 x 120 input, a
256-dimensional output, 128.7 MFLOPs and 4.64 M parameters; its code was not published. This is a
reconstruction, found by counting both figures for some 10^6 arrangements of stem, block type,
stage depths, widths, strides and head that make 28 layers. Two hundred of them meet both figures
within 0.4%, so the figures do not settle the structure. Of those within half a per cent this one
was taken because nothing in it is odd: each width is half a usual one, the stages are as deep as
those of ResNet-34 (3, 4, 6 blocks; He et al., CVPR 2016), every stage halves the map, and the last
map is 4 x 4:

==========  ==============================================  ============
stem        3x3 convolution, stride 2; 3x3 max pool, / 2    16 x 30 x 30
stage 1     3 basic blocks                                  48 x 15 x 15
stage 2     4 basic blocks                                  96 x 8 x 8
stage 3     6 basic blocks                                  192 x 4 x 4
head        average pool, linear, batch normalisation       256
==========  ==============================================  ============

Layers: 1 + 2 (3 + 4 + 6) + 1 = 28, the 1x1 projections of shortcuts not counted, as is usual.
Parameters: 4,632,800 (0.16% below the paper's); multiply-accumulates, which the paper calls
FLOPs: 128.11 M (0.46% below).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from mfr.backbones.spec import BackboneSpec
from mfr.geometry import CropGeometry

STEM: Final = 32
WIDTHS: Final = (96, 192, 384)
"""Channels of the stem and the stages before the multiplier."""

MULTIPLIER: Final = 0.5
"""The factor on the numbers of channels (Guo et al., CVPR 2020, section 4.1)."""

DEPTHS: Final = (3, 4, 6)
"""Blocks in each stage."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BN, plus the (projected) input; PReLU between and after."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.prelu1 = nn.PReLU(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.prelu2 = nn.PReLU(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, channels_in, h, w) -> (N, channels_out, h / stride, w / stride)."""
        out = self.bn2(self.conv2(self.prelu1(self.bn1(self.conv1(x)))))
        return self.prelu2(out + self.shortcut(x))


class MfrResNet(nn.Module):
    """Features of 120 x 120 faces; the module's docstring says how it was arrived at."""

    def __init__(self, embedding_size: int = 256) -> None:
        super().__init__()
        channels = round(STEM * MULTIPLIER)
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, 3, 2, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
            nn.MaxPool2d(3, 2, 1),
        )
        blocks = []
        for width, depth in zip(WIDTHS, DEPTHS, strict=True):
            for position in range(depth):
                channels_out = round(width * MULTIPLIER)
                blocks.append(BasicBlock(channels, channels_out, 2 if position == 0 else 1))
                channels = channels_out
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(channels, embedding_size, bias=False)
        self.bn = nn.BatchNorm1d(embedding_size)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, 120, 120) -> (N, embedding_size), not normalised."""
        return self.bn(self.linear(self.pool(self.blocks(self.stem(x))).flatten(1)))


def mfr_resnet28(embedding_size: int = 256) -> MfrResNet:
    """The paper's backbone, as closely as its description allows."""
    return MfrResNet(embedding_size)


MFR_RESNET28: Final = BackboneSpec(
    mfr_resnet28, CropGeometry(height=120, width=120), embedding_size=256
)
