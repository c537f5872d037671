"""A searchable copy of a store's templates: search by cosine, kept current by differences.

Embeddings are of unit length, so the inner product that FAISS computes is the cosine. An index
never changes. A difference makes another one that shares most segments with it: what is added
becomes a small segment, what is removed is masked, and small segments are joined as they become
many, so following one enrolment among a million copies a few hundred embeddings. Searches that
still run on the earlier index are not disturbed.

Among many templates a search has two stages: short codes (`mfr.gallery.coding`) give the likely
ones of each segment, and these are compared exactly. So a score is always the cosine; that a person
is missed whose score reaches a threshold is very rare (docs/results/gallery-index.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mfr.gallery.coding import Coding
from mfr.gallery.methods import EXACT, SearchMethod, has_two_stages
from mfr.gallery.records import Changes, DamagedTemplate, Snapshot
from mfr.gallery.segment import Segment, divided, joined

SEGMENT_ROWS: Final = 65_536
"""The most templates in a segment. Searching a million in segments of so many takes as long as in
one, and copying one takes less than a tenth of such a search."""

_SMALL: Final = 512
"""Segments of at most so many templates are always joined."""

_RATIO: Final = 8
"""A segment is joined with one that is at least an eighth of it, so that each template is copied a
few times only, and few small segments remain."""

_CODED: Final = 4096
"""Segments of fewer templates have no codes: comparing all takes no longer."""

_LIKELY: Final = 64
"""How many likely templates of each segment are compared, at least."""


class TemplateIndex:
    """Templates in memory at one state of their store. Threads may share one.

    Attributes:
        stamp: the state of the store.
        size: D, the length of an embedding.
        segments: the templates.
        damaged: those that are left out because they are not what was stored.
        method: how it is searched.
        coding: how the codes of the segments were made; None where a search is exact.
    """

    def __init__(
        self,
        stamp: str,
        size: int,
        segments: Sequence[Segment],
        damaged: Sequence[DamagedTemplate] = (),
        method: SearchMethod = EXACT,
        coding: Coding | None = None,
    ) -> None:
        self.stamp = stamp
        self.size = size
        self.segments = tuple(segments)
        self.damaged = tuple(damaged)
        self.method: SearchMethod = method
        self.coding = coding
        self._length = sum(map(len, segments))

    @classmethod
    def build(cls, snapshot: Snapshot) -> TemplateIndex:
        """Index a snapshot for exact search.

        Its embeddings are not copied and must not be changed afterwards.
        """
        templates = snapshot.templates
        segments = divided(templates, SEGMENT_ROWS)
        return cls(snapshot.stamp, templates.embeddings.shape[1], segments, templates.damaged)

    def __len__(self) -> int:
        """How many templates there are."""
        return self._length

    def count(self, among: frozenset[str]) -> int:
        """How many templates the identities ``among`` have."""
        return sum(segment.count(among) for segment in self.segments)

    def searched(self, method: SearchMethod) -> TemplateIndex:
        """The same templates, to be searched by ``method``."""
        coding = self.coding
        if not has_two_stages(method, len(self), now=coding is not None):
            coding = None
        elif coding is None:
            largest = max(self.segments, key=len, default=None)
            if largest is not None and len(largest) >= _CODED:
                coding = Coding.of(largest.alive().embeddings)
        segments = [
            segment.uncoded()
            if coding is None
            else (segment.coded(coding) if len(segment) >= _CODED else segment)
            for segment in self.segments
        ]
        return TemplateIndex(self.stamp, self.size, segments, self.damaged, method, coding)

    def changed(self, changes: Changes) -> TemplateIndex:
        """The index of the later state to which ``changes`` leads from this one."""
        segments = list(self.segments)
        if len(changes.removed):
            segments = [segment.without(changes.removed) for segment in segments]
            segments = [segment for segment in segments if len(segment)]
        for segment in divided(changes.added, SEGMENT_ROWS):
            segments = _with(segments, segment)
        gone = set(changes.removed.tolist())
        damaged = [each for each in self.damaged if each.id not in gone]
        damaged += changes.added.damaged
        later = TemplateIndex(changes.stamp, self.size, segments, damaged, self.method, self.coding)
        return later.searched(self.method)

    def best_identities(
        self, embeddings: np.ndarray, k: int, among: frozenset[str] | None = None
    ) -> list[list[tuple[str, float]]]:
        """The ``k`` identities nearest to each embedding, each with its score.

        An identity scores as its best template. Templates come nearest first, so the first time an
        identity is met gives its score; more are fetched until k identities are known and no
        template that ties with the last of them is left out. Ties are ordered by name.

        Args:
            embeddings: (Q, D) float32, unit length.
            k: at least 1.
            among: the only identities to search; None for all. The same set, given again, is
                searched without looking for its templates.

        Returns:
            Q lists of identities and inner products, the largest first.
        """
        queries = np.ascontiguousarray(embeddings, dtype=np.float32)
        answers: list[list[tuple[str, float]]] = [[] for _ in queries]
        waiting = list(range(len(queries))) if len(self) else []
        fetch = 2 * k
        while waiting:
            fetch = min(fetch, len(self))
            found = self._nearest(queries[waiting], fetch, among)
            unfinished = []
            for query, (scores, owners) in zip(waiting, found, strict=True):
                best: dict[str, float] = {}
                for score, owner in zip(scores, owners, strict=True):
                    best.setdefault(owner, score)
                ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:k]
                answers[query] = ranked
                full = len(scores) == fetch < len(self)
                if full and (len(ranked) < k or scores[-1] >= ranked[-1][1]):
                    unfinished.append(query)
            waiting, fetch = unfinished, 4 * fetch
        return answers

    def _nearest(
        self, queries: np.ndarray, count: int, among: frozenset[str] | None
    ) -> list[tuple[list[float], list[str]]]:
        """For each query the ``count`` nearest templates: their scores, falling, and owners."""
        if self.coding is None:
            parts = [segment.nearest(queries, count, among) for segment in self.segments]
        else:
            likely = max(count, _LIKELY)
            parts = [segment.likely_nearest(queries, likely, among) for segment in self.segments]
        scores = np.concatenate([part[0] for part in parts], axis=1)
        rows = np.concatenate([part[1] for part in parts], axis=1)
        places = np.repeat(np.arange(len(parts)), [part[0].shape[1] for part in parts])
        found = []
        for query, order in enumerate(np.argsort(-scores, axis=1, kind="stable")[:, :count]):
            owners = [
                self.segments[place].owners[row]
                for place, row in zip(
                    places[order].tolist(), rows[query, order].tolist(), strict=True
                )
            ]
            found.append((scores[query, order].tolist(), owners))
        return found


def _with(segments: list[Segment], new: Segment) -> list[Segment]:
    """The segments and a new one, the smallest of them joined where that keeps them few."""
    ordered = sorted([*segments, new], key=len, reverse=True)
    while len(ordered) > 1:
        larger, smaller = len(ordered[-2]), len(ordered[-1])
        if larger > max(_SMALL, _RATIO * smaller) or larger + smaller > SEGMENT_ROWS:
            break
        ordered.append(joined([ordered.pop(), ordered.pop()]))
        ordered.sort(key=len, reverse=True)
    return ordered
