"""The runtime contract: what computes a network's features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import torch


class Runtime(Protocol):
    """What computes features of network input.

    An implementation is made of a network in evaluation mode, the name of a device, the input's
    ``size`` (height, width) and the ``precision`` of its arithmetic, the latter two by keyword.
    Instead of the network it may be given a `mfr.runtimes.saved_graph.SavedGraph`, the network as
    an exported file holds it, which it may refuse by a `ConfigError`. In
    float32 it owes the features that the network itself would give, up to rounding; in bfloat16
    their cosine with the exact ones is 0.999 or more. A runtime is no part of a model's identity:
    embeddings from two of them are compared with each other. It keeps nothing between two calls
    that could change a result, and may be called from several threads at the same time.
    """

    @property
    def device(self) -> str:
        """Where it computes, by name: cpu, cuda, cuda:1."""

    def features(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, height, width) float32 network input -> (N, d) float32, not normalised."""


@runtime_checkable
class TensorRuntime(Runtime, Protocol):
    """A runtime whose network computes with PyTorch's tensors, and stands where they do.

    Faces then become tensors before they are prepared, and are copied to a GPU as pixels.
    """

    def tensor_features(self, images: torch.Tensor) -> torch.Tensor:
        """As `features`, of tensors on the runtime's device."""
