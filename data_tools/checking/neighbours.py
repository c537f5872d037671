"""Exact search for nearest vectors, in memory that grows linearly with their number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_BLOCK: Final = 1024
"""The number of queries in one search; Ctrl-C takes effect between searches."""


def nearest(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The ``k`` vectors with the largest inner products with each query, the largest first.

    Args:
        queries: the queries, (n, D).
        vectors: the vectors to search, (m, D).
        k: the number of vectors for each query; at most m are returned.

    Returns:
        The inner products and the positions in ``vectors``, both (n, min(k, m)).
    """
    k = min(k, len(vectors))
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, np.float32))
    scores = np.empty((len(queries), k), np.float32)
    positions = np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries) if k else 0, _BLOCK):
        block = np.ascontiguousarray(queries[start : start + _BLOCK], np.float32)
        scores[start : start + _BLOCK], positions[start : start + _BLOCK] = index.search(block, k)
    return scores, positions


def linked(pairs: Iterable[tuple[int, int]], count: int) -> list[list[int]]:
    """The groups of two or more numbers below ``count`` that pairs link, directly or indirectly."""
    ends = np.array(list(pairs), np.int64).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count, count))
    labels = connected_components(graph, directed=False)[1]
    groups: dict[int, list[int]] = {}
    for member in np.unique(ends).tolist():
        groups.setdefault(int(labels[member]), []).append(member)
    return list(groups.values())
