"""Identities as their embeddings show them: centres, and how alike different people are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from data_tools.checking.robust import location_and_spread
from mfr.benchmark.embedding import numbered
from mfr.data.manifest import Manifest
from mfr.random_bits import RandomBits

_SAMPLED_PAIRS: Final = 100_000
_FALSE_ALARMS: Final = 0.05
FEWEST: Final = 8
"""Identities of several images that a domain must have before anything in it is called unusual."""


@dataclass(frozen=True)
class People:
    """The embedded images of a dataset by identity; an identity is a name within a domain.

    Attributes:
        rows: (n,) rows in the manifest.
        embeddings: (n, D) float32, unit length.
        identity: (n,) each image's identity, a number below C.
        names: (C,) of the identities.
        domain: (C,) their domains, numbers in the order of ``domains``.
        person: (C,) the humans behind them, numbers.
        split: (C,) their sides, None before the split.
        domains: names.
    """

    rows: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    identity: NDArray[np.int32]
    names: list[str]
    domain: NDArray[np.int32]
    person: NDArray[np.int32]
    split: list[str | None]
    domains: list[str]

    @classmethod
    def of(
        cls, manifest: Manifest, rows: NDArray[np.int64], embeddings: NDArray[np.float32]
    ) -> People:
        """The people of the embedded ``rows`` (n,) of ``manifest``."""
        columns = [manifest.column(name) for name in ("domain", "identity", "person", "split")]
        domain, name, person, split = ([column[row] for row in rows] for column in columns)
        identity = numbered([f"{d}\0{n}" for d, n in zip(domain, name, strict=True)])
        first = np.unique(identity, return_index=True)[1]
        return cls(
            rows=rows,
            embeddings=embeddings,
            identity=identity,
            names=[name[i] for i in first],
            domain=numbered(domain)[first],
            person=numbered(person)[first],
            split=[split[i] for i in first],
            domains=sorted(set(domain)),
        )

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(C,) images of each identity."""
        return np.bincount(self.identity, minlength=len(self.names))

    @cached_property
    def sums(self) -> NDArray[np.float32]:
        """(C, D) sums of the identities' embeddings."""
        sums = np.zeros((len(self.names), self.embeddings.shape[1]), np.float32)
        np.add.at(sums, self.identity, self.embeddings)
        return sums

    @cached_property
    def centres(self) -> NDArray[np.float32]:
        """(C, D) the directions of ``sums``."""
        return unit(self.sums)

    @cached_property
    def members(self) -> list[NDArray[np.int64]]:
        """Each identity's images, positions in ``rows``."""
        order = np.argsort(self.identity, kind="stable")
        return np.split(order, np.cumsum(self.sizes)[:-1])

    def inner(self) -> NDArray[np.float32]:
        """(C,) mean cosine of two images of an identity; NaN where it has one."""
        return mean_cosine_within(self.sums, self.sizes)

    def own(self) -> NDArray[np.float32]:
        """(n,) cosine of each image with the centre of its identity's others; NaN without any."""
        others = unit(self.sums[self.identity] - self.embeddings)
        own = np.einsum("nd,nd->n", others, self.embeddings)
        return np.where(self.sizes[self.identity] > 1, own, np.nan).astype(np.float32)

    def linkage(self, a: int, b: int) -> float:
        """Mean cosine of an image of identity ``a`` with one of ``b`` (average linkage).

        Unlike the cosine of centres, it does not grow with the number of images, so it may be
        compared with `inner` of any identity.
        """
        return float(self.sums[a] @ self.sums[b] / (self.sizes[a] * self.sizes[b]))

    def different_people(
        self, first: int, second: int, seed: int = 0
    ) -> tuple[Distribution, Distribution]:
        """Cosines of centres, and linkages, of different people of two domains (or one, twice)."""
        a, b = np.flatnonzero(self.domain == first), np.flatnonzero(self.domain == second)
        left, right = _pairs(a, b, RandomBits(seed, first, second))
        different = self.person[left] != self.person[right]
        left, right = left[different], right[different]
        cosines = np.einsum("nd,nd->n", self.centres[left], self.centres[right])
        sizes = self.sizes[left] * self.sizes[right]
        linkages = np.einsum("nd,nd->n", self.sums[left], self.sums[right]) / sizes
        count = len(a) * (len(a) - 1) // 2 if first == second else len(a) * len(b)
        return Distribution(cosines, count), Distribution(linkages, count)

    def foreign_images(self, domain: int, seed: int = 0) -> Distribution:
        """Cosines of images of a domain with the centres of its other people."""
        images = np.flatnonzero(self.domain[self.identity] == domain)
        centres = np.flatnonzero(self.domain == domain)
        left, right = _pairs(images, centres, RandomBits(seed, domain))
        different = self.person[self.identity[left]] != self.person[right]
        left, right = left[different], right[different]
        cosines = np.einsum("nd,nd->n", self.embeddings[left], self.centres[right])
        return Distribution(cosines, len(images) * len(centres))

    def judged(self, domain: int) -> bool:
        """Whether ``domain`` has enough identities of several images to know what is usual."""
        return int(np.sum((self.domain == domain) & (self.sizes > 1))) >= FEWEST


class Distribution:
    """Likenesses of different people, from a sample, as a median and a robust spread.

    Args:
        values: the sample, (n,).
        pairs: how many pairs it stands for.
    """

    def __init__(self, values: NDArray[np.floating], pairs: int) -> None:
        # Without a sample nothing is beyond it.
        self.median, self.spread = location_and_spread(values) if len(values) else (np.inf, 0.0)
        self._pairs = max(pairs, 1)

    @property
    def limit(self) -> float:
        """What the largest of all pairs would pass by chance in one data set of 20."""
        return self.median + self.spread * float(norm.isf(_FALSE_ALARMS / self._pairs))

    @property
    def usual_high(self) -> float:
        """The median and three spreads."""
        return self.median + 3 * self.spread


def _pairs(
    left: NDArray[np.int64], right: NDArray[np.int64], bits: RandomBits
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of one of each: all, or a sample with repetition where they are many."""
    count = len(left) * len(right)
    if count <= _SAMPLED_PAIRS:
        chosen = np.arange(count)
    else:
        chosen = np.array([bits.below(count) for _ in range(_SAMPLED_PAIRS)])
    return left[chosen // len(right)], right[chosen % len(right)]


def usual_low(values: NDArray[np.floating], spreads: float) -> float:
    """The median of the finite values less so many spreads; -inf where there is none."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return -np.inf
    middle, spread = location_and_spread(finite)
    return middle - spreads * spread


def mean_cosine_within(sums: NDArray[np.float32], sizes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean cosine of two different ones of ``sizes`` unit vectors that add up to ``sums`` (C, D).

    |sum|^2 holds every ordered pair once and n products of a vector with itself, which are 1.
    """
    squares = np.einsum("cd,cd->c", sums, sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = (squares - sizes) / (sizes * (sizes - 1))
    return np.where(sizes > 1, inner, np.nan).astype(np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (n, D) scaled to length 1; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
