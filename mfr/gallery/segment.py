"""Some templates of an index, searched by FAISS where they lie.

A segment never changes, so any number of threads may search it: a change makes another segment,
which shares the embeddings with this one as long as few templates were removed.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import reduce
from typing import Any, Final

import faiss
import numpy as np

from mfr.forking import outlast_forks
from mfr.gallery.codes import LEAST, Codebook, Codes
from mfr.gallery.records import EnrolledVectors

_CANDIDATES: Final = 256
"""The least candidates of a coded segment."""

_PER_RESULT: Final = 8
"""Candidates for each template that is asked for."""

_LEAST_SAVING: Final = 4
"""Where more than a quarter of a segment were candidates, all of it is searched."""

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
        return self._with_alive(alive)

    def only(self, owners: Set[str]) -> Segment:
        """The segment with the templates of ``owners`` alone; it may be left with none."""
        theirs = np.fromiter((owner in owners for owner in self.owners), bool, len(self.owners))
        return self._with_alive(theirs if self._alive is None else self._alive & theirs)

    def coded(self, codebook: Codebook) -> Segment:
        """The same segment, searched by codes first; small ones stay as they are."""
        if len(self) < LEAST:
            return self
        codes = codebook.codes(self._templates.embeddings)
        return CodedSegment(self._templates, self._alive, codes)

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

    def _with_alive(self, alive: np.ndarray) -> Segment:
        changed = self._masked(alive)
        if 0 < len(changed) < _LEAST_ALIVE * len(alive):
            return Segment(changed.alive())
        return changed

    def _masked(self, alive: np.ndarray) -> Segment:
        return Segment(self._templates, alive)


class CodedSegment(Segment):
    """A segment whose candidates are chosen by codes; their scores are exact.

    Args:
        templates: all of them, at least one.
        alive: (N,) bool, False for those that are removed; None when there are none such.
        codes: of all templates.
    """

    def __init__(self, templates: EnrolledVectors, alive: np.ndarray | None, codes: Codes) -> None:
        super().__init__(templates, alive)
        self._codes = codes

    def nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Segment.nearest`; a template that should be there may be missing, very seldom."""
        # Where some are removed, so many more candidates make up for those among them.
        removed = len(self._templates) - len(self)
        count = max(_CANDIDATES, _PER_RESULT * k) + removed
        if count > len(self._templates) // _LEAST_SAVING:
            return super().nearest(queries, k)
        candidates = self._codes.candidates(queries, count)
        scores = np.empty((len(queries), k), dtype=np.float32)
        rows = np.empty((len(queries), k), dtype=np.int64)
        for place, (query, found) in enumerate(zip(queries, candidates, strict=True)):
            kept = found if self._alive is None else found[self._alive[found]]
            exact = self._templates.embeddings[kept] @ query
            best = np.argsort(-exact, kind="stable")[:k]
            scores[place], rows[place] = exact[best], kept[best]
        return scores, rows

    def coded(self, codebook: Codebook) -> Segment:
        """The segment itself."""
        return self

    def _masked(self, alive: np.ndarray) -> Segment:
        return CodedSegment(self._templates, alive, self._codes)


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
