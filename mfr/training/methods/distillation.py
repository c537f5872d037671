"""What the start knew, kept: changed crops get the features that it gave the unchanged ones.

The network that a run starts from is the teacher. It sees crops as they are; the network in
training sees them augmented and, in simulated domains, masked or dark or small. So it keeps what
its start knew of good pictures, and learns to see through what was done to them (Huber et al.,
Mask-invariant Face Recognition through Template-level Knowledge Distillation, FG 2021).
"""

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

    def __call__(self, crops: Tensor) -> Tensor:
        """(N, 112, 112, 3) uint8 crops -> (N, d) features of unit length."""
        with torch.no_grad():
            return self._network(self._network.images(crops))


def distance(features: Tensor, of_start: Tensor) -> Tensor:
    """The mean of 1 - <f, f_start> over images, a scalar in [0, 2].

    Args:
        features: (N, d) of unit length.
        of_start: (N, d) likewise, constant.
    """
    return 1 - (features * of_start).sum(dim=1).mean()
