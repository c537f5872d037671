"""dlib's face recognition network: a residual network of 29 convolutions (King, 2017).

The architecture is that of ``dnn_face_recognition_ex.cpp`` among dlib's examples: ResNet-34 (He et
al., CVPR 2016) with fewer layers and half the filters. There is no batch normalisation: what dlib
trained was turned into gains and offsets. Convolutions that halve the size have no padding, and
where a block and its shortcut differ in size or channels, the smaller is padded with zeros.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn
from torch.nn import functional as F

from mfr.backbones.spec import BackboneSpec
from mfr.geometry import CropGeometry

STAGES: Final = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Channels, blocks, and whether the first block halves the size."""


class Affine(nn.Module):
    """A gain and an offset for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.offset = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, channels, h, w) -> the same."""
        return x * self.gain[:, None, None] + self.offset[:, None, None]


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, *, halves: bool) -> None:
        super().__init__()
        stride, padding = (2, 0) if halves else (1, 1)
        self.halves = halves
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding)
        self.affine1 = Affine(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.affine2 = Affine(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, channels_in, h, w) -> (N, channels, h', w'), h' about half of h where it halves."""
        main = self.affine2(self.conv2(F.relu(self.affine1(self.conv1(x)))))
        if self.halves:
            # Odd sizes lose their last row and column here, as in dlib.
            x = F.avg_pool2d(x, 2)
            main, x = _padded_alike(main, x)
        return F.relu(main + x)


class DlibResNet(nn.Module):
    """Features of 150 x 150 faces.

    Args:
        embedding_size: length of the features.
    """

    def __init__(self, embedding_size: int = 128) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 7, stride=2)
        self.affine = Affine(32)
        blocks = []
        channels_in = 32
        for channels, repeats, halves in STAGES:
            for position in range(repeats):
                blocks.append(Block(channels_in, channels, halves=halves and position == 0))
                channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(channels_in, embedding_size, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, Block):
                # Without normalisation, features would double with each of the 14 blocks.
                nn.init.zeros_(module.affine2.gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, 150, 150) -> (N, embedding_size), not normalised."""
        x = F.max_pool2d(F.relu(self.affine(self.conv(x))), 3, stride=2)
        return self.linear(self.blocks(x).mean(dim=(2, 3)))


def _padded_alike(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both (N, c, h, w) with zeros added at the end of c, h and w, so that their sizes agree."""
    shape = [max(pair) for pair in zip(first.shape[1:], second.shape[1:], strict=True)]
    return _padded(first, shape), _padded(second, shape)


def _padded(x: torch.Tensor, shape: list[int]) -> torch.Tensor:
    channels, height, width = (
        wanted - present for wanted, present in zip(shape, x.shape[1:], strict=True)
    )
    return F.pad(x, (0, width, 0, height, 0, channels))


DLIB_RESNET: Final = BackboneSpec(
    DlibResNet,
    CropGeometry(
        height=150,
        width=150,
        # Where the centres of the eyes, the tip of the nose and the corners of the mouth lie in the
        # chips that dlib cuts by the corners of the eyes and the base of the nose.
        template=((47.5, 46.6), (100.5, 46.6), (74.0, 76.6), (50.4, 103.0), (97.6, 103.0)),
        mean=(122.782, 117.001, 104.298),
        scale=256.0,
    ),
    embedding_size=128,
    # As accurate as concatenated, in half the length (docs/results/default-recogniser.md).
    flip_fusion="sum",
)
