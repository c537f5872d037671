"""Embeddings of any number of made-up people, spread as those of real ones.

Of real embeddings e = m + c + n, with the mean m, a person's centre c and a photograph's noise n,
the covariances of c and n are estimated as in one-way analysis of variance: that of n within
people, W = sum (e - mean of the person)(...)^T / (photographs - people), and that of c from the
people's means, whose covariance is that of c plus W over the harmonic mean of their numbers of
photographs.
Made-up people have a normal c of that covariance, their photographs a normal n, and what comes out
is scaled to unit length as embeddings are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 100_000


@dataclass(frozen=True)
class Population:
    """What made-up people are drawn from.

    Attributes:
        mean: (D,) m.
        between: (D, D) a root of the covariance of c.
        within: (D, D) a root of the covariance of n.
    """

    mean: NDArray[np.float64]
    between: NDArray[np.float64]
    within: NDArray[np.float64]

    @classmethod
    def like(cls, embeddings: NDArray[np.float32], people: NDArray[np.object_]) -> Population:
        """The population of which real embeddings (N, D) of ``people`` (N,) may be a sample."""
        exact = embeddings.astype(np.float64)
        _, owner, counts = np.unique(people.astype(str), return_inverse=True, return_counts=True)
        means = np.zeros((len(counts), exact.shape[1]))
        np.add.at(means, owner.ravel(), exact)
        means /= counts[:, None]
        apart = exact - means[owner.ravel()]
        within = apart.T @ apart / (counts - 1).sum()
        between = np.cov(means.T) - within * (1 / counts).mean()
        return cls(means.mean(axis=0), _root(between), _root(within))

    def centres(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """m + c of so many people, (count, D)."""
        size = len(self.mean)
        return np.concatenate(
            [
                (self.mean + random.standard_normal((part, size)) @ self.between.T).astype(
                    np.float32
                )
                for part in _parts(count)
            ]
        )

    def photos(
        self, centres: NDArray[np.float32], random: np.random.Generator
    ) -> NDArray[np.float32]:
        """An embedding of a photograph of each person, (n, D) float32, unit length."""
        made = np.empty_like(centres)
        start = 0
        for part in _parts(len(centres)):
            place = slice(start, start + part)
            noise = random.standard_normal((part, len(self.mean))) @ self.within.T
            found = centres[place] + noise
            made[place] = found / np.linalg.norm(found, axis=1, keepdims=True)
            start += part
        return made


def _parts(count: int) -> list[int]:
    return [min(_AT_ONCE, count - start) for start in range(0, count, _AT_ONCE)]


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = vectors * np.sqrt(values.clip(min=0))
    return root
