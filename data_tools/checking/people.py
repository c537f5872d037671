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
from mfr.data.random_bits import RandomBits

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

    def strangers(self, first: int, second: int, seed: int = 0) -> Strangers:
        """How alike different people of two domains (or one, twice) are."""
        a, b = np.flatnonzero(self.domain == first), np.flatnonzero(self.domain == second)
        if len(a) * len(b) <= _SAMPLED_PAIRS:
            left, right = (side.ravel() for side in np.meshgrid(a, b, indexing="ij"))
        else:
            bits = RandomBits(seed, first, second)
            left = a[bits.order(_SAMPLED_PAIRS) % len(a)]
            right = b[bits.order(_SAMPLED_PAIRS) % len(b)]
        different = self.person[left] != self.person[right]
        left, right = left[different], right[different]
        cosines = np.einsum("nd,nd->n", self.centres[left], self.centres[right])
        sizes = self.sizes[left] * self.sizes[right]
        linkages = np.einsum("nd,nd->n", self.sums[left], self.sums[right]) / sizes
        pairs = len(a) * (len(a) - 1) // 2 if first == second else len(a) * len(b)
        return Strangers(cosines, linkages, pairs)

    def judged(self, domain: int) -> bool:
        """Whether ``domain`` has enough identities of several images to know what is usual."""
        return int(np.sum((self.domain == domain) & (self.sizes > 1))) >= FEWEST


class Strangers:
    """How alike different people are, from a sample of their pairs.

    Args:
        cosines: of the centres, (n,).
        linkages: mean cosines of their images, (n,).
        pairs: how many pairs there are in all.
    """

    def __init__(
        self, cosines: NDArray[np.floating], linkages: NDArray[np.floating], pairs: int
    ) -> None:
        self._cosines = location_and_spread(cosines) if len(cosines) else (np.inf, np.inf)
        self._linkages = location_and_spread(linkages) if len(linkages) else (np.inf, np.inf)
        self._pairs = max(pairs, 1)

    def z(self, cosine: float) -> float:
        """Where a cosine of centres stands among those of different people, in spreads."""
        return (cosine - self._cosines[0]) / self._cosines[1]

    @property
    def limit(self) -> float:
        """The z that the most alike of all pairs would pass by chance once in 20 data sets."""
        return float(norm.isf(_FALSE_ALARMS / self._pairs))

    @property
    def usual_cosine(self) -> float:
        """Cosines of centres up to this are usual: the median and three spreads."""
        return self._cosines[0] + 3 * self._cosines[1]

    @property
    def usual_linkage(self) -> float:
        """The same of linkages."""
        return self._linkages[0] + 3 * self._linkages[1]


def usual_low(values: NDArray[np.floating], spreads: float) -> float:
    """The median of the finite values less so many spreads."""
    middle, spread = location_and_spread(values[np.isfinite(values)])
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
