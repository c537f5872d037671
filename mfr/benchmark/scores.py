"""Scores of pairs of faces: of one person, of two, within a set of faces or between two sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_PAIRS = 100_000_000
"""Above this many pairs of images, this many are drawn at random with replacement. All pairs of LFW
are 88 million."""

_BLOCK = 1 << 20
"""Pairs taken at a time."""

Pairs = tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.float32]]
"""Rows of the first set, rows of the second, and the pairs' cosines."""


@dataclass(frozen=True)
class Faces:
    """Embedded faces.

    Attributes:
        embeddings: (n, D) float32, unit length.
        persons: (n,) whom each shows; the same number is the same person in another set too.
        photos: (n,) which photo each comes from, so that a photo and one that was made of it are
            not compared; None if all are photos of their own.
    """

    embeddings: NDArray[np.float32]
    persons: NDArray[np.integer]
    photos: NDArray[np.integer] | None = None

    def __len__(self) -> int:
        """How many faces there are."""
        return len(self.persons)


def nonmated_pairs(first: Faces, second: Faces | None = None, *, seed: int) -> Iterator[Pairs]:
    """Pairs of two people, a block at a time: all of them, or `MAX_PAIRS` drawn by ``seed``.

    Args:
        first: the faces.
        second: the faces to pair them with; they are paired among themselves if not given.
        seed: of the draw.
    """
    other = first if second is None else second
    every = len(first) * (len(first) - 1) // 2 if second is None else len(first) * len(other)
    if every > MAX_PAIRS:
        yield from _drawn_nonmated(first, other, seed)
        return
    rows = max(1, _BLOCK // max(1, len(other)))
    for start in range(0, len(first), rows):
        part = slice(start, start + rows)
        apart = first.persons[part, None] != other.persons[None]
        if second is None:
            apart &= np.arange(len(first))[part, None] < np.arange(len(other))
        i, j = np.nonzero(apart)
        yield i + start, j, (first.embeddings[part] @ other.embeddings.T)[apart]


def _drawn_nonmated(first: Faces, other: Faces, seed: int) -> Iterator[Pairs]:
    generator = np.random.default_rng(seed)
    left = MAX_PAIRS
    while left:
        i = generator.integers(len(first), size=_BLOCK)
        j = generator.integers(len(other), size=_BLOCK)
        apart = first.persons[i] != other.persons[j]
        i, j = i[apart][:left], j[apart][:left]
        left -= len(i)
        yield i, j, np.einsum("nd,nd->n", first.embeddings[i], other.embeddings[j])


def nonmated_scores(first: Faces, second: Faces | None = None, *, seed: int) -> NDArray[np.float32]:
    """The cosines of `nonmated_pairs`."""
    parts = [scores for _, _, scores in nonmated_pairs(first, second, seed=seed)]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def mated_scores(first: Faces, second: Faces | None = None, *, seed: int) -> NDArray[np.float32]:
    """Cosines of pairs of one person: all of them, or `MAX_PAIRS` drawn by ``seed``.

    Arguments as `nonmated_pairs`. Two faces of one photo are no pair.
    """
    other = first if second is None else second
    groups = [
        (np.flatnonzero(first.persons == one), np.flatnonzero(other.persons == one))
        for one in np.intersect1d(first.persons, other.persons)
    ]
    sizes = np.array([len(i) * len(j) for i, j in groups], dtype=np.int64)
    if sizes.sum() > (2 if second is None else 1) * MAX_PAIRS:
        return _drawn_mated(first, second, groups, sizes, seed)
    parts = [np.zeros(0, np.float32)]
    for rows, columns in groups:
        i, j = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
        wanted = _of_two_photos(first, second, i, j)
        if second is None:
            wanted &= i < j
        block = first.embeddings[rows] @ other.embeddings[columns].T
        parts.append(block.ravel()[wanted])
    return np.concatenate(parts)


def _drawn_mated(
    first: Faces,
    second: Faces | None,
    groups: Sequence[tuple[NDArray[np.integer], NDArray[np.integer]]],
    sizes: NDArray[np.int64],
    seed: int,
) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    other = first if second is None else second
    # The rows of all people behind each other, and where each person's begin.
    rows, columns = (np.concatenate([group[side] for group in groups]) for side in (0, 1))
    counts = np.array([[len(i), len(j)] for i, j in groups])
    starts = np.cumsum(counts, axis=0) - counts
    bounds, parts, left = np.cumsum(sizes), [], MAX_PAIRS
    while left:
        who = np.searchsorted(bounds, generator.integers(bounds[-1], size=_BLOCK), "right")
        i = rows[starts[who, 0] + generator.integers(counts[who, 0])]
        j = columns[starts[who, 1] + generator.integers(counts[who, 1])]
        wanted = _of_two_photos(first, second, i, j)
        i, j = i[wanted][:left], j[wanted][:left]
        left -= len(i)
        parts.append(np.einsum("nd,nd->n", first.embeddings[i], other.embeddings[j]))
    return np.concatenate(parts)


def _of_two_photos(
    first: Faces, second: Faces | None, i: NDArray[np.integer], j: NDArray[np.integer]
) -> NDArray[np.bool_]:
    if second is None:
        return i != j
    if first.photos is None or second.photos is None:
        return np.ones(len(i), bool)
    return first.photos[i] != second.photos[j]
