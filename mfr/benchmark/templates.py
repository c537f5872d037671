"""Templates: several images of a person averaged into one embedding, as in IJB."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfr.data.manifest import Manifest


@dataclass(frozen=True)
class Templates:
    """Means of embeddings.

    Attributes:
        embeddings: (t, D) float32, unit length; zero where no image has an embedding.
        acquired: (t,) which have one.
        first: (t,) the row of an image of each, one with a crop if there is any.
        sizes: (t,) how many images with an embedding are behind each.
    """

    embeddings: NDArray[np.float32]
    acquired: NDArray[np.bool_]
    first: NDArray[np.int64]
    sizes: NDArray[np.int64]


def make_templates(
    rows: Manifest, embeddings: NDArray[np.float32], acquired: NDArray[np.bool_], *, seed: int
) -> Templates:
    """Two templates of each identity, of the halves of its images; one if it has one image.

    The images are put in the order of the SHA-256 of 'seed:path', and the first half, the larger of
    two unequal ones, makes the first template. A template is the mean of the unit embeddings,
    scaled to unit length (average pooling, as the IJB-A baselines of Klare et al., CVPR 2015).

    Args:
        rows: the images.
        embeddings: (rows, D) of unit length.
        acquired: (rows,) which images have one.
        seed: of the order.
    """
    of_identity: dict[str, list[tuple[str, int]]] = {}
    for row, (identity, path) in enumerate(
        zip(rows.column("identity"), rows.column("path"), strict=True)
    ):
        key = hashlib.sha256(f"{seed}:{path}".encode()).hexdigest()
        of_identity.setdefault(identity, []).append((key, row))
    halves = []
    for identity in sorted(of_identity):
        order = [row for _, row in sorted(of_identity[identity])]
        middle = (len(order) + 1) // 2
        halves += [half for half in (order[:middle], order[middle:]) if half]
    means = np.zeros((len(halves), embeddings.shape[1]), np.float32)
    first, sizes = np.zeros(len(halves), np.int64), np.zeros(len(halves), np.int64)
    for number, half in enumerate(halves):
        there = [row for row in half if acquired[row]]
        first[number] = (there or half)[0]
        sizes[number] = len(there)
        if there:
            mean = embeddings[there].mean(axis=0)
            means[number] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return Templates(means, sizes > 0, first, sizes)
