"""Faces to embeddings with PyTorch's tensors: where the runtime's network is, or with gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from mfr.backbones.input import chip_input, network_input
from mfr.backbones.views import fused_features
from mfr.embedding.embedder import unfit
from mfr.geometry import CropGeometry, FlipFusion
from mfr.runtimes.runtime import TensorRuntime


class TensorEmbedder:
    """An `mfr.embedding.embedder.Embedder` over a runtime of tensors. Several threads may share it.

    Pixels go to the runtime's device as they are, uint8: a quarter of the copy that prepared input
    would be.

    Args:
        runtime: of the network.
        geometry: how a face enters the network.
        fusion: how the features of a face and of its mirror image become one.
        centre: (D,) float32, the mean embedding that is subtracted, or None.
    """

    def __init__(
        self,
        runtime: TensorRuntime,
        geometry: CropGeometry,
        fusion: FlipFusion,
        centre: np.ndarray | None,
    ) -> None:
        self._runtime = runtime
        self._geometry = geometry
        self._fusion = fusion
        self._centre = None if centre is None else torch.tensor(centre, device=runtime.device)

    def crops(self, crops: np.ndarray) -> np.ndarray:
        """See `mfr.embedding.embedder.Embedder`."""
        return self._embedded(crops, network_input)

    def chips(self, chips: np.ndarray) -> np.ndarray:
        """See `mfr.embedding.embedder.Embedder`."""
        return self._embedded(chips, chip_input)

    @torch.inference_mode()
    def _embedded(
        self, faces: np.ndarray, prepare: Callable[[torch.Tensor, CropGeometry], torch.Tensor]
    ) -> np.ndarray:
        embeddings = embedded(
            torch.from_numpy(np.array(faces)).to(self._runtime.device),
            lambda seen: self._runtime.tensor_features(prepare(seen, self._geometry)),
            self._fusion,
            self._centre,
        )
        return embeddings.cpu().numpy()


def embedded(
    faces: torch.Tensor,
    features_of: Callable[[torch.Tensor], torch.Tensor],
    fusion: FlipFusion,
    centre: torch.Tensor | None,
) -> torch.Tensor:
    """Embeddings (N, D), unit length, through which gradients flow if they do in ``features_of``.

    Args:
        faces: (N, height, width, 3), of any type that ``features_of`` takes.
        features_of: faces -> (N, d).
        fusion: how the features of a face and of its mirror image become one.
        centre: (D,) the mean embedding that is subtracted, or None.

    Raises:
        ModelError: features are not finite or all zero.
    """
    embeddings = _unit(fused_features(faces, features_of, fusion))
    return embeddings if centre is None else _unit(embeddings - centre)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    norms = vectors.norm(dim=1, keepdim=True)
    if not bool((torch.isfinite(norms) & (norms > 0)).all()):
        raise unfit()
    return vectors / norms
