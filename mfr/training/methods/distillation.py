"""Staying near the start: features of the network in training beside those it began with."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from mfr.training.methods.network import FaceNetwork


class StartFeatures:
    """What the network made of images before training, by running statistics.

    Args:
        network: with its starting weights, of which a copy is kept.
    """

    def __init__(self, network: FaceNetwork) -> None:
        self._network = copy.deepcopy(network).requires_grad_(False).eval()

    def distance(self, images: Tensor, features: Tensor) -> Tensor:
        """The mean of ||f - f_start||^2 over images, a scalar in [0, 4].

        Args:
            images: (N, 3, h, w) network input.
            features: (N, d) what the network in training makes of them, of unit length.
        """
        with torch.no_grad():
            before = self._network(images)
        return (features - before).square().sum(dim=1).mean()
