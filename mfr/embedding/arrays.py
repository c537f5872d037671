"""Faces to embeddings with NumPy's arrays."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from mfr.embedding.embedder import unfit
from mfr.embedding.preparation import chip_input, network_input
from mfr.geometry import CropGeometry, FlipFusion
from mfr.runtimes.runtime import Runtime


class ArrayEmbedder:
    """An `mfr.embedding.embedder.Embedder` over any runtime. Several threads may share it.

    Args:
        runtime: of the network.
        geometry: how a face enters the network.
        fusion: how the features of a face and of its mirror image become one.
        centre: (D,) float32, the mean embedding that is subtracted, or None.
    """

    def __init__(
        self,
        runtime: Runtime,
        geometry: CropGeometry,
        fusion: FlipFusion,
        centre: np.ndarray | None,
    ) -> None:
        self._runtime = runtime
        self._geometry = geometry
        self._fusion = fusion
        self._centre = centre

    def crops(self, crops: np.ndarray) -> np.ndarray:
        """See `mfr.embedding.embedder.Embedder`."""
        return self._embedded(crops, network_input)

    def chips(self, chips: np.ndarray) -> np.ndarray:
        """See `mfr.embedding.embedder.Embedder`."""
        return self._embedded(chips, chip_input)

    def _embedded(
        self, faces: np.ndarray, prepare: Callable[[np.ndarray, CropGeometry], np.ndarray]
    ) -> np.ndarray:
        views = _both_views(faces) if self._fusion else faces
        embeddings = _unit(self._fused(self._runtime.features(prepare(views, self._geometry))))
        return embeddings if self._centre is None else _unit(embeddings - self._centre)

    def _fused(self, features: np.ndarray) -> np.ndarray:
        if not self._fusion:
            return features
        half = len(features) // 2
        straight, mirrored = features[:half], features[half:]
        if self._fusion == "sum":
            return straight + mirrored
        return np.concatenate([straight, mirrored], axis=1)


def _both_views(faces: np.ndarray) -> np.ndarray:
    """Faces (n, h, w, 3), then their mirror images: (2 n, h, w, 3)."""
    views = np.concatenate([faces, faces])
    for face, mirrored in zip(faces, views[len(faces) :], strict=True):
        cv2.flip(face, 1, dst=mirrored)  # many times as fast as NumPy's copy of a reversed axis
    return views


def _unit(vectors: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        norms = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise unfit()
    return vectors / norms
