"""Some templates of an index, searched by FAISS where they lie.

A segment never changes, so any number of threads may search it: a change makes another segment,
which shares the embeddings with this one as long as few templates were removed.

A segment with codes (`mfr.gallery.coding`) can be searched in two stages: the codes give likely
templates, and these are compared exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import reduce
from typing import Any, Final

import faiss
import numpy as np

from mfr.forking import outlast_forks
from mfr.gallery.coding import Coding
from mfr.gallery.records import EnrolledVectors

_LEAST_ALIVE: Final = 0.75
"""When a smaller share of a segment is alive than this, the living templates are copied."""


_EXACT_SHARE: Final = 8
"""Where more than an eighth of a segment would have to be compared, all of it is."""

_QUERIES_AT_ONCE: Final = 64


class Segment:
    """Templates, of which some may be removed.

    Args:
        templates: all of them, at least one.
        alive: (N,) bool, False for those that are removed; None when there are none such.
        coding: how ``codes`` were made.
        codes: (N, B) uint8, of all templates; None where there is no ``coding``.
    """

    def __init__(
        self,
        templates: EnrolledVectors,
        alive: np.ndarray | None = None,
        coding: Coding | None = None,
        codes: np.ndarray | None = None,
    ) -> None:
        outlast_forks("faiss")
        self.owners = templates.owners
        self.coding = coding
        self._templates = templates
        self._alive = alive
        self._codes = codes
        self._scan = None if coding is None or codes is None else coding.scan(codes)
        self._first, self._last = int(templates.ids.min()), int(templates.ids.max())
        self._length = len(templates) if alive is None else int(alive.sum())
        self._members: tuple[frozenset[str], np.ndarray] | None = None

    def __len__(self) -> int:
        """The number of templates that are not removed."""
        return self._length

    def count(self, among: frozenset[str]) -> int:
        """The number of templates of the identities ``among`` that are not removed."""
        mask = self._mask(among)
        return len(self) if mask is None else int(mask.sum())

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

    def alive_codes(self) -> np.ndarray | None:
        """The codes of `alive`, if there are any."""
        return (
            self._codes if self._codes is None or self._alive is None else self._codes[self._alive]
        )

    def coded(self, coding: Coding) -> Segment:
        """The segment with codes by ``coding``."""
        if self.coding is coding:
            return self
        codes = coding.codes(self._templates.embeddings)
        return Segment(self._templates, self._alive, coding, codes)

    def uncoded(self) -> Segment:
        """The segment without codes."""
        return self if self.coding is None else Segment(self._templates, self._alive)

    def without(self, removed: np.ndarray) -> Segment:
        """The segment without the templates whose ids are in ``removed`` (M,) int64."""
        near = removed[(removed >= self._first) & (removed <= self._last)]
        if not len(near):
            return self
        going = np.isin(self._templates.ids, near)
        if not going.any():
            return self
        alive = ~going if self._alive is None else self._alive & ~going
        changed = copy(self)  # the packed codes are shared too
        changed._alive, changed._length, changed._members = alive, int(alive.sum()), None
        if 0 < len(changed) < _LEAST_ALIVE * len(alive):
            return Segment(changed.alive(), None, self.coding, changed.alive_codes())
        return changed

    def nearest(
        self, queries: np.ndarray, k: int, among: frozenset[str] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ``k`` nearest templates of each query, or all if there are fewer.

        Args:
            queries: (Q, D) float32, contiguous.
            k: at least 1.
            among: the identities whose templates are searched; None for all.

        Returns:
            Their inner products with the query, (Q, k) float32, largest first, and their rows,
            (Q, k) int64, which `owners` tells whose they are.
        """
        mask = self._mask(among)
        k = min(k, len(self._templates) if mask is None else int(mask.sum()))
        embeddings = self._templates.embeddings
        scores = np.empty((len(queries), k), dtype=np.float32)
        rows = np.empty((len(queries), k), dtype=np.int64)
        if not k:
            return scores, rows
        # FAISS reads the bits where they are: they must live as long as the selector.
        bits = None if mask is None else np.packbits(mask, bitorder="little")
        bitmap: Any = faiss.IDSelectorBitmap
        pointers = [faiss.swig_ptr(array) for array in (queries, embeddings, scores, rows)]
        sizes = queries.shape[1], len(queries), len(embeddings), k
        # The stubs of FAISS know only one of its overloads.
        search: Any = faiss.knn_inner_product
        search(*pointers[:2], *sizes, *pointers[2:], None if bits is None else bitmap(bits))
        return scores, rows

    def likely_nearest(
        self, queries: np.ndarray, k: int, among: frozenset[str] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `nearest`, of the templates that the codes find likely; the scores are exact.

        Where there are no codes, or too many templates would have to be compared, it is `nearest`.
        """
        if self._scan is None:
            return self.nearest(queries, k, among)
        mask, total = self._mask(among), len(self._templates)
        wanted = total if mask is None else int(mask.sum())
        k = min(k, wanted)
        count = k if mask is None else -(-k * total // max(1, wanted))
        while k and _EXACT_SHARE * count <= total:
            rows = self._scan.likely(queries, count)
            scores = self._scores(queries, rows, mask)
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            scores = np.take_along_axis(scores, order, axis=1)
            # Those that are removed, or not asked for, may have been the nearest.
            if np.isfinite(scores[:, -1]).all():
                return scores, np.take_along_axis(rows, order, axis=1)
            count *= 4
        return self.nearest(queries, k or 1, among)

    def _scores(self, queries: np.ndarray, rows: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        """The inner products of each query with its rows; -inf for those that do not count."""
        scores = np.empty(rows.shape, dtype=np.float32)
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = slice(start, start + _QUERIES_AT_ONCE)
            compared = self._templates.embeddings[rows[part]]
            scores[part] = np.matmul(compared, queries[part, :, None])[..., 0]
        scores[rows < 0 if mask is None else (rows < 0) | ~mask[rows]] = -np.inf
        return scores

    def _mask(self, among: frozenset[str] | None) -> np.ndarray | None:
        """Which templates a search is about, (N,) bool; None for all."""
        if among is None:
            return self._alive
        # To look up all owners takes longer than a search, and the same people are often asked for.
        members = self._members
        if members is None or members[0] is not among:
            found = np.fromiter((owner in among for owner in self.owners), bool, len(self.owners))
            members = among, found if self._alive is None else found & self._alive
            self._members = members
        return members[1]


def joined(segments: Sequence[Segment]) -> Segment:
    """One segment of the templates of several."""
    parts = [segment.alive() for segment in segments]
    templates = EnrolledVectors(
        np.concatenate([part.ids for part in parts]),
        reduce(list.__add__, (part.owners for part in parts)),
        np.concatenate([part.embeddings for part in parts]),
    )
    coding = next((segment.coding for segment in segments if segment.coding is not None), None)
    if coding is None:
        return Segment(templates)
    codes = [segment.coded(coding).alive_codes() for segment in segments]
    return Segment(
        templates, None, coding, np.concatenate([each for each in codes if each is not None])
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
