"""The embeddings of each identity: their centres, and how alike different people are."""

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
"""The number of identities with several images that a domain needs before it can be judged."""


@dataclass(frozen=True)
class People:
    """The n embedded images of a dataset and their C identities; an identity belongs to a domain.

    Attributes:
        rows: (n,), the images' rows in the manifest.
        embeddings: (n, D), the images' embeddings, float32 and of unit length.
        identity: (n,), the number of each image's identity, from 0 to C - 1.
        names: (C,), the names of the identities.
        domain: (C,), the domains of the identities, as positions in ``domains``.
        person: (C,), the numbers of the persons behind the identities.
        split: (C,), the identities' sides of the split, None before there is a split.
        domains: the names of the domains.
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
        """The number of images of each identity, (C,)."""
        return np.bincount(self.identity, minlength=len(self.names))

    @cached_property
    def sums(self) -> NDArray[np.float32]:
        """The sum of each identity's embeddings, (C, D)."""
        sums = np.zeros((len(self.names), self.embeddings.shape[1]), np.float32)
        np.add.at(sums, self.identity, self.embeddings)
        return sums

    @cached_property
    def centres(self) -> NDArray[np.float32]:
        """The centre of each identity, (C, D): ``sums`` scaled to unit length."""
        return unit(self.sums)

    @cached_property
    def members(self) -> list[NDArray[np.int64]]:
        """The images of each identity, as positions in ``rows``."""
        order = np.argsort(self.identity, kind="stable")
        return np.split(order, np.cumsum(self.sizes)[:-1])

    def inner(self) -> NDArray[np.float32]:
        """The mean cosine of two images of each identity, (C,); NaN if it has only one image."""
        return mean_cosine_within(self.sums, self.sizes)

    def own(self) -> NDArray[np.float32]:
        """The cosine of each image with the centre of its identity's other images, (n,).

        It is NaN if there are no other images.
        """
        others = unit(self.sums[self.identity] - self.embeddings)
        own = np.einsum("nd,nd->n", others, self.embeddings)
        return np.where(self.sizes[self.identity] > 1, own, np.nan).astype(np.float32)

    def linkage(self, a: int, b: int) -> float:
        """The mean cosine of an image of identity ``a`` with an image of ``b`` (average linkage).

        Unlike the cosine of the centres, it does not grow with the number of images, so it can be
        compared with the value of `inner` for any identity.
        """
        return float(self.sums[a] @ self.sums[b] / (self.sizes[a] * self.sizes[b]))

    def different_people(
        self, first: int, second: int, seed: int = 0
    ) -> tuple[Distribution, Distribution]:
        """The cosines of centres, and the linkages, of different people.

        ``first`` and ``second`` are the people's domains and may be the same domain.
        """
        a, b = np.flatnonzero(self.domain == first), np.flatnonzero(self.domain == second)
        left, right = _pairs(a, b, RandomBits(seed, first, second))
        different = self.person[left] != self.person[right]
        left, right = left[different], right[different]
        cosines = np.einsum("nd,nd->n", self.centres[left], self.centres[right])
        sizes = self.sizes[left] * self.sizes[right]
        linkages = np.einsum("nd,nd->n", self.sums[left], self.sums[right]) / sizes
        count = len(a) * (len(a) - 1) // 2 if first == second else len(a) * len(b)
        return Distribution(cosines, count), Distribution(linkages, count)

    def foreign_images(self, domain: int | None, seed: int = 0) -> Distribution:
        """The cosines of a domain's images with the centres of other people in the domain.

        Without a domain, they are those of all images with the centres of all other people.
        """
        if domain is None:
            images, centres = np.arange(len(self.rows)), np.arange(len(self.names))
            bits = RandomBits(seed)
        else:
            images = np.flatnonzero(self.domain[self.identity] == domain)
            centres = np.flatnonzero(self.domain == domain)
            bits = RandomBits(seed, domain)
        left, right = _pairs(images, centres, bits)
        different = self.person[self.identity[left]] != self.person[right]
        left, right = left[different], right[different]
        cosines = np.einsum("nd,nd->n", self.embeddings[left], self.centres[right])
        return Distribution(cosines, len(images) * len(centres))

    def judged(self, domain: int) -> bool:
        """Whether ``domain`` has enough identities with several images to show what is usual."""
        return int(np.sum((self.domain == domain) & (self.sizes > 1))) >= FEWEST


class Distribution:
    """The median and robust spread of the similarities of different people, from a sample.

    Args:
        values: the sample, (n,).
        pairs: the number of all pairs that the sample represents.
    """

    def __init__(self, values: NDArray[np.floating], pairs: int) -> None:
        # With an empty sample, no value exceeds the limits.
        self.median, self.spread = location_and_spread(values) if len(values) else (np.inf, 0.0)
        self.pairs = max(pairs, 1)

    @property
    def limit(self) -> float:
        """The value that the largest of all pairs exceeds by chance in one dataset of 20."""
        return self.median + self.spread * float(norm.isf(_FALSE_ALARMS / self.pairs))

    @property
    def usual_high(self) -> float:
        """The median plus three spreads."""
        return self.median + 3 * self.spread


def _pairs(
    left: NDArray[np.int64], right: NDArray[np.int64], bits: RandomBits
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of a left and a right number: all pairs or, if many, a sample with repetition."""
    count = len(left) * len(right)
    if count <= _SAMPLED_PAIRS:
        chosen = np.arange(count)
    else:
        chosen = np.array([bits.below(count) for _ in range(_SAMPLED_PAIRS)])
    return left[chosen // len(right)], right[chosen % len(right)]


def usual_low(values: NDArray[np.floating], spreads: float) -> float:
    """The median of the finite values minus ``spreads`` spreads; -inf if none is finite."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return -np.inf
    middle, spread = location_and_spread(finite)
    return middle - spreads * spread


def mean_cosine_within(sums: NDArray[np.float32], sizes: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean cosine (C,) of two different vectors in each of C groups of unit vectors.

    The groups have the given ``sizes`` (C,) and ``sums`` (C, D). For a group of n vectors, |sum|^2
    is the sum over all ordered pairs plus the n products of a vector with itself, which are 1. The
    result is NaN for a group of one vector.
    """
    squares = np.einsum("cd,cd->c", sums, sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = (squares - sizes) / (sizes * (sizes - 1))
    return np.where(sizes > 1, inner, np.nan).astype(np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors (n, D) scaled to length 1; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
