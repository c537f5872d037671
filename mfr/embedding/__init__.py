"""Faces to embeddings, around what a runtime makes of them.

With NumPy's arrays (`arrays`), which need no PyTorch; or with tensors (`tensors`) where the runtime
computes with them, so that faces stay on a GPU from their pixels to their embeddings.
"""

from __future__ import annotations

import numpy as np

from mfr.embedding.arrays import ArrayEmbedder
from mfr.embedding.embedder import Embedder
from mfr.geometry import CropGeometry, FlipFusion
from mfr.runtimes.runtime import Runtime, TensorRuntime


def embedder_for(
    runtime: Runtime, geometry: CropGeometry, fusion: FlipFusion, centre: np.ndarray | None
) -> Embedder:
    """What embeds faces with ``runtime``, in the kind of numbers that it computes with.

    Args:
        runtime: of the network.
        geometry: how a face enters the network.
        fusion: how the features of a face and of its mirror image become one.
        centre: (D,) float32, the mean embedding that is subtracted, or None.
    """
    if isinstance(runtime, TensorRuntime):
        from mfr.embedding.tensors import TensorEmbedder

        return TensorEmbedder(runtime, geometry, fusion, centre)
    return ArrayEmbedder(runtime, geometry, fusion, centre)
