"""The scores among the templates of a gallery: of one person with themselves, and of two people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mfr.errors import GalleryDamagedError, NotEnrolledError
from mfr.gallery.store import Store

MOST: Final = 500
"""People whose templates are compared, unless it is said otherwise."""


@dataclass(frozen=True)
class OwnScores:
    """Histograms of the cosines of all pairs of templates.

    Attributes:
        edges: (n + 1,) rising, from -1 to 1.
        mated: (n,) counts of pairs of templates of one person.
        nonmated: (n,) counts of pairs of templates of two people.
        people: how many people were compared: those who were enrolled first.
    """

    edges: np.ndarray
    mated: np.ndarray
    nonmated: np.ndarray
    people: int


def own_scores(store: Store, most: int = MOST, bins: int = 100) -> OwnScores:
    """Compare the templates of ``most`` people at most with one another.

    Args:
        store: the gallery's.
        most: how many people.
        bins: how finely scores are counted.
    """
    found, owners = [np.empty((0, store.embedding_size), np.float32)], []
    people = store.people_after(0, most)
    for person in people:
        try:
            embeddings = store.embeddings(person.identity)
        except (NotEnrolledError, GalleryDamagedError):  # erased meanwhile, or all are damaged
            continue
        found.append(embeddings)
        owners += [person.id] * len(embeddings)
    edges = np.linspace(-1, 1, bins + 1)
    mated, nonmated = np.zeros(bins, np.int64), np.zeros(bins, np.int64)
    every, of = np.concatenate(found), np.array(owners, np.int64)
    for row in range(len(every) - 1):
        scores = np.clip(every[row + 1 :] @ every[row], -1, 1)
        same = of[row + 1 :] == of[row]
        mated += np.histogram(scores[same], edges)[0]
        nonmated += np.histogram(scores[~same], edges)[0]
    return OwnScores(edges, mated, nonmated, len(people))
