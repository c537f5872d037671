"""Groups of faces, and how certain each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_DIGITS: Final = 4
_BLOCK: Final = 1024


@dataclass(frozen=True)
class Group:
    """Faces that are taken for one person.

    Attributes:
        name: 'group-0001', numbered from the largest group on.
        members: (m,) the faces, as positions among all, the best fitting first.
        fits: (m,) float32, for each member the mean cosine with the others of the group.
        nearest: the name of the other group that is most like it; None if it is the only one.
        likeness: the mean cosine of the pairs of the two groups.
        margin: how far the group is from being another one: the least of how much its worst
            fitting member fits better than the cut, and the nearest group less. It may be negative,
            as a member need not reach the cut by itself.
    """

    name: str
    members: NDArray[np.int64]
    fits: NDArray[np.float32]
    nearest: str | None
    likeness: float | None
    margin: float


@dataclass(frozen=True)
class Single:
    """A face that belongs to no group.

    Attributes:
        member: the face, as its position among all.
        nearest: the name of the group that is most like it; None if there are no groups.
        likeness: the face's mean cosine with the members of that group.
    """

    member: int
    nearest: str | None
    likeness: float | None


def form_groups(
    embeddings: NDArray[np.float32], labels: NDArray[np.int64], cut: float, min_photos: int
) -> tuple[list[Group], list[Single]]:
    """The groups of at least ``min_photos`` faces, the largest first, and the faces of no group.

    Args:
        embeddings: (n, D), unit length.
        labels: (n,) what `data_tools.clustering.linkage.group_embeddings` found.
        cut: the cosine it cut at.
        min_photos: smaller groups are taken apart.
    """
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    large = [part for part in parts if len(part) >= min_photos]
    large.sort(key=lambda part: (-len(part), part[0]))
    grouped = np.zeros(len(labels), bool)
    for part in large:
        grouped[part] = True
    single = np.flatnonzero(~grouped)
    digits = max(_DIGITS, len(str(len(large))))
    names = [f"group-{number:0{digits}d}" for number in range(1, len(large) + 1)]
    # The mean cosine of the pairs of two sets is the inner product of their mean embeddings.
    means = np.empty((len(large), embeddings.shape[1]), np.float32)
    for number, part in enumerate(large):
        means[number] = embeddings[part].mean(axis=0)
    nearest = _nearest(means, means, np.arange(len(large)))
    groups = []
    for name, part, (other, likeness) in zip(names, large, nearest, strict=True):
        own = embeddings[part]
        fits = (own @ own.sum(axis=0) - 1) / max(1, len(part) - 1)
        best = np.argsort(-fits, kind="stable")
        margin = float(fits.min()) - cut
        if likeness is not None:
            margin = min(margin, cut - likeness)
        groups.append(
            Group(
                name,
                part[best],
                fits[best],
                None if other is None else names[other],
                likeness,
                margin,
            )
        )
    alone = [
        Single(int(member), None if other is None else names[other], likeness)
        for member, (other, likeness) in zip(
            single, _nearest(embeddings[single], means, np.full(len(single), -1)), strict=True
        )
    ]
    return groups, alone


def _nearest(
    queries: NDArray[np.float32],
    means: NDArray[np.float32],
    own: NDArray[np.int64],
) -> list[tuple[int | None, float | None]]:
    """For each query (q, D), the row of ``means`` (g, D) with the largest inner product, and that.

    ``own`` (q,) is the row that is the query itself and does not count, or -1.
    """
    found: list[tuple[int | None, float | None]] = []
    for start in range(0, len(queries), _BLOCK):
        scores = queries[start : start + _BLOCK] @ means.T
        itself = own[start : start + _BLOCK]
        rows = np.flatnonzero(itself >= 0)
        scores[rows, itself[rows]] = -np.inf
        for row in scores:
            best = int(row.argmax()) if len(row) else -1
            there = best >= 0 and row[best] > -np.inf
            found.append((best, float(row[best])) if there else (None, None))
    return found
