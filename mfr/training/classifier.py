"""Classifier rows for aggregated training: imprinted from class means, or random."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from mfr.data.loading import CropStore
from mfr.training.methods import FaceNetwork


def imprinted_rows(
    network: FaceNetwork,
    store: CropStore,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    *,
    batch_size: int = 64,
) -> Tensor:
    """Each class's mean feature, scaled to unit length (Qi et al., CVPR 2018, Eq. 4).

    Args:
        network: its features are taken with running statistics.
        store: crops by row.
        rows: (n,) images.
        labels: (n,) their classes, 0 ... C - 1, each at least once.
        batch_size: images at a time.

    Returns:
        (C, d).
    """
    was_training = network.training
    network.eval()
    features = []
    with torch.no_grad():
        for start in range(0, len(rows), batch_size):
            crops = torch.from_numpy(store[rows[start : start + batch_size]])
            features.append(network(network.images(crops)).cpu())
    network.train(was_training)
    classes = int(labels.max()) + 1
    stacked = torch.cat(features)
    sums = stacked.new_zeros(classes, stacked.shape[1]).index_add(
        0, torch.from_numpy(labels), stacked
    )
    return normalize(sums)


def random_rows(classes: int, size: int, seed: int) -> Tensor:
    """Rows uniform on the unit sphere, (classes, size)."""
    return normalize(torch.randn(classes, size, generator=torch.Generator().manual_seed(seed)))
