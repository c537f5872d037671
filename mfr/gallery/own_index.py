"""Stores that search by themselves, so that no process has to hold all templates in memory."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from mfr.gallery.records import DamagedTemplate


class SearchIndex(Protocol):
    """What finds the nearest people of a gallery, in memory or in the store itself."""

    @property
    def damaged(self) -> tuple[DamagedTemplate, ...]:
        """Templates that are known to be left out because they are not what was stored."""

    def __len__(self) -> int:
        """How many templates there are."""

    def best_identities(self, embeddings: np.ndarray, k: int) -> list[list[tuple[str, float]]]:
        """The ``k`` identities nearest to each embedding, each with its score, the largest first.

        An identity scores as its best template; ties are ordered by name.

        Args:
            embeddings: (Q, D) float32, unit length.
            k: at least 1.
        """


@runtime_checkable
class SearchingStore(Protocol):
    """A store that may have an index of its own.

    Scores are exact. Which templates are scored is found by an approximate index: the nearest one
    is missed now and then (docs/results/gallery-stores.md says how often).
    """

    def own_index(self) -> SearchIndex | None:
        """The index of the store's present state, where it has one that is worth its while."""

    def make_index(self) -> None:
        """Make the index, which the store keeps current from then on."""
