"""What a network costs: its parameters and its multiply-accumulates."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn


def count_parameters(network: nn.Module) -> int:
    """Learned numbers; running statistics of batch normalisation are not among them."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, input_shape: Sequence[int]) -> int:
    """Multiply-accumulates of convolutions and linear layers for one input.

    The face-recognition literature, the MFR paper included, calls these FLOPs, though each is a
    multiplication and an addition. Normalisation and activations are left out, as is usual.

    Args:
        network: left as it is; nothing is computed, shapes alone are followed.
        input_shape: (channels, height, width).
    """
    twin = copy.deepcopy(network).to("meta").eval()
    total = 0

    def add(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features

    for module in twin.modules():
        module.register_forward_hook(add)
    with torch.no_grad():
        twin(torch.empty(1, *input_shape, device="meta"))
    return total
