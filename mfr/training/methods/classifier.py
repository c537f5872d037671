"""Classifiers to start from: imprinted with the mean features of the classes, or random."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from mfr.data.loading import CropStore
from mfr.data.sampling import IdentityPool
from mfr.training.methods.network import FaceNetwork

_IMPRINTED: Final = 4


def features_of(
    network: FaceNetwork, store: CropStore, rows: NDArray[np.int64], *, batch_size: int = 64
) -> Tensor:
    """The features of the crops ``rows`` (n,), by running statistics: (n, d) on the CPU."""
    was_training = network.training
    network.eval()
    features = []
    with torch.no_grad():
        for start in range(0, len(rows), batch_size):
            crops = torch.from_numpy(store[rows[start : start + batch_size]])
            features.append(network(network.images(crops)).cpu())
    network.train(was_training)
    return torch.cat(features)


def imprinting_features(
    network: FaceNetwork, store: CropStore, pool: IdentityPool
) -> tuple[Tensor, NDArray[np.int64]]:
    """Features of some images of each class, (n, d), and their classes, (n,).

    Up to four images, evenly spaced, of each identity: the mean of more is hardly another, and an
    identity can have thousands.
    """
    chosen = [
        (identity.rows[_evenly(len(identity.rows))], identity.label)
        for domain in pool.identities
        for identity in domain
    ]
    rows = np.concatenate([rows for rows, _ in chosen])
    labels = np.concatenate([np.full(len(rows), label) for rows, label in chosen])
    return features_of(network, store, rows), labels


def _evenly(count: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, min(count, _IMPRINTED)).round().astype(np.int64)


def imprinted_rows(features: Tensor, labels: NDArray[np.int64]) -> Tensor:
    """Each class's mean feature, scaled to unit length (Qi et al., CVPR 2018, Eq. 4).

    Args:
        features: (n, d).
        labels: (n,) the class of each, 0 ... C - 1, each at least once.

    Returns:
        (C, d).
    """
    sums = features.new_zeros(int(labels.max()) + 1, features.shape[1])
    return normalize(sums.index_add(0, torch.from_numpy(labels), features))


def random_rows(classes: int, size: int, seed: int) -> Tensor:
    """Rows uniform on the unit sphere, (classes, size)."""
    return normalize(torch.randn(classes, size, generator=torch.Generator().manual_seed(seed)))
