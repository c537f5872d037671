"""Any number of made-up people with the embeddings that a model would give their photos.

Let x_pi be the embedding of photo i of person p, m_p the mean over the photos of p, and
r_pi = x_pi - m_p. A made-up person has a centre c, drawn from the normal distribution with mean and
covariance of the m_p of people with several photos. Two photos of that person are c + r_pi and
c + r_pj, made unit vectors, where i and j are different photos of a real person p: their difference
is that of a pair of real photos of one person, with all its tails. A template and a mated probe are
such a pair; a non-mated probe is one photo of a person who is not enrolled.

The centres are normally distributed, which real ones are not quite: look-alikes are rarer among
them, so that the thresholds for one false-positive rate lie lower than among as many real people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

_AT_ONCE: Final = 65_536


@dataclass(frozen=True)
class Crowd:
    """Templates (N, D), probes (P, D) of the people of ``mated`` (P,), and probes of strangers.

    All are float32 unit vectors; the template of person n is row n.
    """

    templates: np.ndarray
    mated: np.ndarray
    probes: np.ndarray
    strangers: np.ndarray


class EmbeddingPopulation:
    """What is needed to draw people like those of some photos.

    Args:
        embeddings: (M, D), unit length.
        people: whose each is, M names.
    """

    def __init__(self, embeddings: np.ndarray, people: list[str]) -> None:
        _, person, counts = np.unique(np.array(people), return_inverse=True, return_counts=True)
        means = np.zeros((len(counts), embeddings.shape[1]))
        np.add.at(means, person, embeddings)
        means /= counts[:, None]
        several = means[counts > 1]
        self._mean = several.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(several, rowvar=False))
        self._root = (vectors * np.sqrt(np.maximum(values, 0))).T.astype(np.float32)
        order = np.argsort(person, kind="stable")
        self._first = np.cumsum(counts) - counts  # of each person, in this order
        self._counts = counts
        self._residuals = (embeddings - means[person])[order].astype(np.float32)
        self._real = np.flatnonzero(counts > 1)

    def pairs(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Two photos each of ``count`` people: (count, D) float32 unit vectors, twice."""
        centres = rng.standard_normal((count, len(self._mean)), dtype=np.float32) @ self._root
        centres += self._mean.astype(np.float32)
        real = rng.choice(self._real, count)
        one = rng.integers(self._counts[real])
        other = (one + 1 + rng.integers(self._counts[real] - 1)) % self._counts[real]
        first, second = (self._residuals[self._first[real] + each] for each in (one, other))
        return _unit(centres + first), _unit(centres + second)

    def crowd(self, count: int, probes: int, seed: int) -> Crowd:
        """``count`` people, mated probes of ``probes`` of them, and as many of strangers."""
        rng = np.random.default_rng(seed)
        strangers = self.pairs(rng, probes)[0]
        mated = np.sort(rng.choice(count, probes, replace=False))
        templates = np.empty((count, len(self._mean)), dtype=np.float32)
        found = []
        for start in range(0, count, _AT_ONCE):
            rows = slice(start, min(start + _AT_ONCE, count))
            templates[rows], others = self.pairs(rng, rows.stop - start)
            found.append(others[mated[(mated >= start) & (mated < rows.stop)] - start])
        return Crowd(templates, mated, np.concatenate(found), strangers)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
