"""Templates in sixteenths of their size, searched first where there are very many of them.

An embedding becomes four bits for each pair of its numbers (product quantisation: Jegou, Douze and
Schmid, TPAMI 2011), by which FAISS tells the nearest of a million in a millisecond of one core
(André, Kermarrec and Le Scouarnec, ICMR 2017). They only choose candidates: those are held against
the probe with their own numbers, so that scores are exact. Searching all codes, rather than those
of a cluster near the probe, is what leaves hardly a candidate out
(docs/results/gallery-index.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import faiss
import numpy as np

_BITS: Final = 4
_NUMBERS: Final = 2
"""Numbers of an embedding that share a code."""

SAMPLE: Final = 65_536
"""So many templates at most say what the codes are to mean."""

LEAST: Final = 4096
"""Fewer templates are no sample; and searching them exactly takes as long."""


class Codebook:
    """What the codes of an index mean; all its segments share one.

    Args:
        embeddings: (N, D) float32, at least `LEAST`, D even.
    """

    def __init__(self, embeddings: np.ndarray) -> None:
        size = embeddings.shape[1]
        assert Codebook.suits(size) and len(embeddings) >= LEAST
        # Embeddings of faces lie to one side of the origin: their mean says nothing about them.
        self._mean = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
        made: Any = faiss.IndexPQFastScan(size, size // _NUMBERS, _BITS, faiss.METRIC_L2)
        made.train(embeddings - self._mean)
        self._empty = made

    @staticmethod
    def suits(size: int) -> bool:
        """Whether embeddings of ``size`` numbers can be coded."""
        return size % _NUMBERS == 0

    def codes(self, embeddings: np.ndarray) -> Codes:
        """The codes of embeddings (N, D) float32."""
        made: Any = faiss.clone_index(self._empty)
        made.add(embeddings - self._mean)
        return Codes(made, self._mean)


class Codes:
    """The codes of some templates. Threads may share one.

    Args:
        index: FAISS's.
        mean: (D,) float32, what was subtracted before.
    """

    def __init__(self, index: Any, mean: np.ndarray) -> None:
        self._index = index
        self._mean = mean

    @property
    def bytes(self) -> int:
        """How much memory they take."""
        return int(self._index.codes.size())

    def candidates(self, queries: np.ndarray, count: int) -> np.ndarray:
        """The rows of the ``count`` templates whose codes are nearest to each query.

        Args:
            queries: (Q, D) float32, unit length.
            count: less than there are templates.

        Returns:
            (Q, count) int64.
        """
        rows: np.ndarray = self._index.search(queries - self._mean, count)[1]
        return rows


def sample_of(parts: Sequence[np.ndarray]) -> np.ndarray:
    """At most `SAMPLE` embeddings, evenly from all of ``parts``, which are (n, D) each."""
    step = -(-sum(map(len, parts)) // SAMPLE)
    return np.concatenate([part[::step] for part in parts])
