"""The network that MAML's and Reptile's papers use on Omniglot."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def four_blocks(ways: int, channels: int = 1, size: int = 28, *, reptile: bool) -> nn.Sequential:
    """MAML's Omniglot network: 4 x (3x3 convolution of 64, stride 2; batch norm; ReLU), linear.

    Details that the papers leave out follow each one's public code. MAML's: the last map is
    averaged over space, the linear weights start normal with deviation 1, batch norm has no scale,
    and its shift is meta-learned but not adapted (`not_normalisation`). Reptile's: the map is
    flattened, the linear weights start as Glorot's, batch norm has both, and all is adapted.
    Convolutions have no bias, which batch norm would cancel.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for block in range(4):
        convolution = nn.Conv2d(64 if block else channels, 64, 3, 2, padding=1, bias=False)
        nn.init.xavier_uniform_(convolution.weight)
        # 0.001 is TensorFlow's default. Every pass normalises with its own batch.
        norm = nn.BatchNorm2d(64, eps=1e-3, track_running_stats=False)
        norm.weight.requires_grad_(reptile)
        layers |= {f"conv{block}": convolution, f"norm{block}": norm, f"relu{block}": nn.ReLU()}
        size = (size + 1) // 2
    if not reptile:
        layers["mean"] = nn.AdaptiveAvgPool2d(1)
    layers["flat"] = nn.Flatten()
    head = nn.Linear(64 * size * size if reptile else 64, ways)
    nn.init.zeros_(head.bias)
    if reptile:
        nn.init.xavier_uniform_(head.weight)
    else:
        nn.init.normal_(head.weight)
    layers["head"] = head
    return nn.Sequential(layers)


def not_normalisation(name: str) -> bool:
    """Which parameters MAML's code adapts: all but those of batch normalisation."""
    return not name.startswith("norm")
