"""What embeds a batch of faces: the contract, and the one thing it refuses."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mfr.errors import ModelError


class Embedder(Protocol):
    """What turns a batch of faces into embeddings.

    The order is that of `mfr.encoder.Encoder`, and two of them that compute with the same weights
    agree up to rounding. Both methods raise a `ModelError` where the features cannot be scaled to
    unit length, and a ValueError for faces of another shape or type.
    """

    def crops(self, crops: np.ndarray) -> np.ndarray:
        """Crops (N, 112, 112, 3) uint8 RGB -> (N, D) float32, unit length."""

    def chips(self, chips: np.ndarray) -> np.ndarray:
        """Faces cut onto the network's own template, (N, h, w, 3) uint8 RGB -> (N, D) likewise."""


def unfit() -> ModelError:
    """What is raised where features are not finite or all zero."""
    return ModelError(
        "The network gave features that are infinite, not numbers or all zero: "
        "its weights are unfit; use another model file."
    )
