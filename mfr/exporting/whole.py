"""All of a model in one network: crops in, unit-length embeddings out."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from mfr.backbones.input import network_input
from mfr.backbones.views import fused_features
from mfr.encoder import Encoder

CROPS: Final = "crops"
"""The name of the graph's input: (N, 112, 112, 3) uint8 RGB."""
EMBEDDINGS: Final = "embeddings"
"""The name of its output: (N, D) float32, of unit length."""


class WholeModel(nn.Module):
    """What `Encoder.embed` does, for programs that have a graph only.

    Unlike the encoder, a graph cannot refuse: features that are all zero or infinite give NaN.

    Args:
        encoder: of a network with weights.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.network = encoder.network
        self.centre = None if encoder.centre is None else torch.from_numpy(encoder.centre)
        self._geometry, self._fusion = encoder.geometry, encoder.record.flip_fusion

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """(N, 112, 112, 3) uint8 -> (N, D) float32 of unit length."""

        def features(faces: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.network(network_input(faces, self._geometry))
            return found

        embeddings = _unit(fused_features(crops, features, self._fusion))
        return embeddings if self.centre is None else _unit(embeddings - self.centre)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True)
