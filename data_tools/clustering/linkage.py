"""Embeddings to groups of one person each: average linkage, cut at a cosine.

Two groups are merged while the mean cosine of their pairs is at least the cut, the most similar
two first (average linkage, UPGMA: Sokal and Michener, A statistical method for evaluating
systematic relationships, Univ. Kansas Sci. Bull. 38, 1958). It stands here because it was measured
against complete linkage and HDBSCAN (docs/results/clustering.md).

Two groups whose mean cosine reaches the cut have at least one pair that does. No merge therefore
joins two connected components of the graph of such pairs, and each is clustered by itself: the
result is the same, and memory grows with the square of the largest component, not of all faces.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_BLOCK: Final = 1024
"""The number of rows of the cosine matrix in memory at once; Ctrl-C takes effect between blocks."""


def group_embeddings(
    embeddings: NDArray[np.float32], cut: float, method: str = "average"
) -> NDArray[np.int64]:
    """Group embeddings by linkage, as far as similarity reaches ``cut``.

    Args:
        embeddings: (n, D), unit length.
        cut: the least mean cosine at which two groups are merged, -1 to 1.
        method: 'average', or 'complete' or 'single' (the least or the largest cosine of the pairs
            instead of their mean).

    Returns:
        (n,) numbers of groups, from 0 in the order of their first members.
    """
    labels = np.empty(len(embeddings), np.int64)
    if not len(labels):
        return labels
    groups = 0
    for members in _components(embeddings, cut):
        if len(members) > 1:
            tree = linkage(_distances(embeddings[members]), method)
            labels[members] = groups + fcluster(tree, 1 - cut, "distance") - 1
        else:
            labels[members] = groups
        groups = int(labels[members].max()) + 1
    return _in_order(labels)


def _components(embeddings: NDArray[np.float32], cut: float) -> list[NDArray[np.int64]]:
    """The connected components of the graph that links the pairs whose cosine reaches ``cut``."""
    count = len(embeddings)
    first = np.arange(count)  # for each row, a row of its component: the first
    labels = first
    for start in range(0, count, _BLOCK):
        rows = embeddings[start : start + _BLOCK]
        one, other = np.nonzero(rows @ embeddings[start:].T >= cut)
        # The pairs of earlier blocks are kept as their components: there may be very many pairs.
        ends = np.concatenate([one + start, np.arange(count)])
        others = np.concatenate([other + start, first])
        graph = coo_matrix((np.ones(len(ends), np.int8), (ends, others)), (count, count))
        labels = connected_components(graph, directed=False)[1]
        first = np.unique(labels, return_index=True)[1][labels]
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _distances(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """The cosine distances of all pairs of (n, D), in SciPy's condensed form, (n (n - 1) / 2,)."""
    count = len(embeddings)
    condensed = np.empty(count * (count - 1) // 2)
    place = 0
    for start in range(0, count, _BLOCK):
        block = embeddings[start : start + _BLOCK] @ embeddings[start:].T
        for row in range(len(block)):
            rest = block[row, row + 1 :]
            np.subtract(1, rest, out=condensed[place : place + len(rest)])
            place += len(rest)
    # Rounding may bring a cosine above 1.
    return np.maximum(condensed, 0, out=condensed)


def _in_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same groups, numbered in the order of their first members."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse]
