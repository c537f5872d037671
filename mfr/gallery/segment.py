"""Some templates of an index, searched by FAISS where they lie.

A segment never changes, so any number of threads may search it: a change makes another segment,
which shares the embeddings with this one as long as few templates were removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Final

import faiss
import numpy as np

from mfr.forking import outlast_forks
from mfr.gallery.records import EnrolledVectors

_LEAST_ALIVE: Final = 0.75
"""When a smaller share of a segment is alive than this, the living templates are copied."""


class Segment:
    """Templates, of which some may be removed.

    Args:
        templates: all of them, at least one.
        alive: (N,) bool, False for those that are removed; None when there are none such.
    """

    def __init__(self, templates: EnrolledVectors, alive: np.ndarray | None = None) -> None:
        outlast_forks("faiss")
        self.owners = templates.owners
        self._templates = templates
        self._alive = alive
        self._first, self._last = int(templates.ids.min()), int(templates.ids.max())
        self._length = len(templates) if alive is None else int(alive.sum())
        # FAISS reads the bits where they are: they must live as long as the selector.
        self._bits = None if alive is None else np.packbits(alive, bitorder="little")
        bitmap: Any = faiss.IDSelectorBitmap
        self._selector = None if self._bits is None else bitmap(self._bits)

    def __len__(self) -> int:
        """The number of templates that are not removed."""
        return self._length

    def alive(self) -> EnrolledVectors:
        """The templates that are not removed."""
        if self._alive is None:
            return self._templates
        rows = np.flatnonzero(self._alive)
        return EnrolledVectors(
            self._templates.ids[rows],
            [self.owners[row] for row in rows.tolist()],
            self._templates.embeddings[rows],
        )

    def without(self, removed: np.ndarray) -> Segment:
        """The segment without the templates whose ids are in ``removed`` (M,) int64."""
        near = removed[(removed >= self._first) & (removed <= self._last)]
        if not len(near):
            return self
        going = np.isin(self._templates.ids, near)
        if not going.any():
            return self
        alive = ~going if self._alive is None else self._alive & ~going
        changed = Segment(self._templates, alive)
        if 0 < len(changed) < _LEAST_ALIVE * len(alive):
            return Segment(changed.alive())
        return changed

    def nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The ``k`` nearest templates of each query, or all if there are fewer.

        Args:
            queries: (Q, D) float32, contiguous.
            k: at least 1.

        Returns:
            Their inner products with the query, (Q, k) float32, largest first, and their rows,
            (Q, k) int64, which `owners` tells whose they are.
        """
        k = min(k, len(self))
        embeddings = self._templates.embeddings
        scores = np.empty((len(queries), k), dtype=np.float32)
        rows = np.empty((len(queries), k), dtype=np.int64)
        pointers = [faiss.swig_ptr(array) for array in (queries, embeddings, scores, rows)]
        sizes = queries.shape[1], len(queries), len(embeddings), k
        # The stubs of FAISS know only one of its overloads.
        search: Any = faiss.knn_inner_product
        search(*pointers[:2], *sizes, *pointers[2:], self._selector)
        return scores, rows


def joined(segments: Sequence[Segment]) -> Segment:
    """One segment of the templates of several."""
    parts = [segment.alive() for segment in segments]
    return Segment(
        EnrolledVectors(
            np.concatenate([part.ids for part in parts]),
            reduce(list.__add__, (part.owners for part in parts)),
            np.concatenate([part.embeddings for part in parts]),
        )
    )


def divided(templates: EnrolledVectors, rows: int) -> list[Segment]:
    """The templates in segments of ``rows`` templates at most, without copying embeddings."""
    embeddings = np.ascontiguousarray(templates.embeddings, dtype=np.float32)
    starts = range(0, len(templates), rows)
    return [
        Segment(
            EnrolledVectors(
                templates.ids[start : start + rows],
                templates.owners[start : start + rows],
                embeddings[start : start + rows],
            )
        )
        for start in starts
    ]
