"""Short codes of embeddings, by which the likely neighbours of a probe are found before comparing.

An embedding less the centre of some of the gallery's is turned by a random rotation, which makes
its numbers about equally large and nearly normal whatever the model; then each number is kept with
one or two bits, as the level nearest to it of those that are best for a normal distribution
(Max, Quantizing for minimum distortion, IRE Transactions on Information Theory 1960). So nothing is
learned but a centre and a scale, and a template's code depends on no other template. For unit
vectors the nearest by distance are the nearest by cosine, and distances do without the part that
all embeddings share. FAISS scans codes of four bits with shuffles in registers (Andre, Kermarrec,
Le Scouarnec, Cache locality is not enough, PVLDB 2015): a million of 32 bytes in a millisecond.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

import faiss
import numpy as np

_LEVELS: Final = {1: (-0.7979, 0.7979), 2: (-1.5104, -0.4528, 0.4528, 1.5104)}
"""The best levels of one and of two bits for a normal distribution of variance 1 (Max, Table I)."""

_TWO_BITS: Final = 128
"""Embeddings of at most so many numbers get two bits a number, as short ones need: 32 bytes."""

_ROWS_AT_ONCE: Final = 16_384

_SEED: Final = 1


@dataclass(frozen=True)
class Coding:
    """How embeddings (D,) become codes.

    Attributes:
        centre: (D,) float32, which is taken from each.
        rotation: (D, E) float32 with orthonormal rows; E is D rounded up to a multiple of 8.
        scale: the standard deviation of a number after that.
    """

    centre: np.ndarray
    rotation: np.ndarray
    scale: float

    @classmethod
    def of(cls, embeddings: np.ndarray) -> Coding:
        """A coding for embeddings like these, (N, D) float32."""
        size = embeddings.shape[1]
        padded = _padded(size)
        turn = faiss.RandomRotationMatrix(size, padded)
        turn.init(_SEED)
        rotation = faiss.vector_to_array(turn.A).reshape(padded, size).T.copy()
        centre = embeddings.mean(axis=0)
        variance = np.square(embeddings[:_ROWS_AT_ONCE] - centre).sum(axis=1).mean() / padded
        return cls(centre, rotation, max(float(np.sqrt(variance)), float(np.finfo(np.float32).eps)))

    @property
    def width(self) -> int:
        """The bytes of a code."""
        return self.rotation.shape[1] * _bits(len(self.centre)) // 8

    def codes(self, embeddings: np.ndarray) -> np.ndarray:
        """The codes of embeddings (N, D) float32: (N, `width`) uint8."""
        coder = self._coder()
        found = np.empty((len(embeddings), self.width), dtype=np.uint8)
        for start in range(0, len(embeddings), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            found[rows] = coder.sa_encode(self.turned(embeddings[rows]))
        return found

    def scan(self, codes: np.ndarray) -> CodeScan:
        """A search among codes (N, `width`) uint8, N at least 1."""
        coder = self._coder()
        faiss.copy_array_to_vector(np.ascontiguousarray(codes).ravel(), coder.codes)
        coder.ntotal = len(codes)
        return CodeScan(self, faiss.IndexPQFastScan(coder))

    def turned(self, embeddings: np.ndarray) -> np.ndarray:
        """Embeddings (N, D) less the centre, turned: (N, E) float32."""
        return np.ascontiguousarray((embeddings - self.centre) @ self.rotation)

    def _coder(self) -> Any:
        bits, padded = _bits(len(self.centre)), self.rotation.shape[1]
        together = 4 // bits
        levels = itertools.product(_LEVELS[bits], repeat=together)
        each = np.array(list(levels), dtype=np.float32) * np.float32(self.scale)
        coder = faiss.IndexPQ(padded, padded // together, 4, faiss.METRIC_L2)
        centroids = np.tile(each.ravel(), padded // together)
        faiss.copy_array_to_vector(centroids, coder.pq.centroids)
        coder.is_trained = True
        return coder


@dataclass(frozen=True)
class CodeScan:
    """Codes, packed for scanning; threads may share one."""

    coding: Coding
    packed: Any

    def likely(self, queries: np.ndarray, count: int) -> np.ndarray:
        """The rows of the ``count`` codes nearest to each query (Q, D): (Q, count) int64.

        ``count`` is at most the number of codes. A row of -1 is none.
        """
        turned = self.coding.turned(queries)
        return np.asarray(self.packed.search(turned, count)[1], dtype=np.int64)


def _bits(size: int) -> int:
    return 2 if size <= _TWO_BITS else 1


def _padded(size: int) -> int:
    return -(-size // 8) * 8
