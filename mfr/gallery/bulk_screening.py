"""What speaks against each of many new templates: they are held against one another too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mfr.errors import GalleryDamagedError, NotEnrolledError
from mfr.gallery.people_list import Refusal
from mfr.gallery.records import NewTemplate
from mfr.gallery.results import Candidate
from mfr.gallery.screening import Doubt, person_doubts, photo_doubts, stranger_doubts

if TYPE_CHECKING:  # pydantic takes time to import; nothing here needs it at run time.
    from mfr.conditions import Calibrations
    from mfr.gallery.own_index import SearchIndex
    from mfr.gallery.store import Store

People: TypeAlias = Sequence[tuple[str, Sequence[NewTemplate]]]
"""New templates by name; no name comes twice."""


def undoubted(
    store: Store,
    current_index: Callable[[], SearchIndex],
    people: People,
    calibration: Calibrations | None,
) -> tuple[list[tuple[str, list[NewTemplate]]], list[Refusal]]:
    """The new templates that nothing speaks against, and the others, each with what does.

    A template is held against what is enrolled, against those of other people that come before it
    and are not doubted, and against the others of its person. Where a photo or a person comes under
    two names, the first keeps it.

    Args:
        store: who is enrolled.
        current_index: gives the index of the store, which is needed only with a calibration.
        people: the new templates.
        calibration: what scores mean; without one, only photos are compared, by their bytes.
    """
    digests = [each.photo_sha256 for _, templates in people for each in templates]
    owners = defaultdict(list, store.owners_of_photos(digests))
    before = None if calibration is None else _Before(store, current_index(), people)
    accepted, refused = [], []
    for name, templates in people:
        doubts = photo_doubts(name, templates, owners)
        if calibration is not None and before is not None:
            nearest = before.nearest(name, templates)
            doubts += person_doubts(name, templates, nearest, calibration, len(before))
            doubts += stranger_doubts(name, templates, before.own(name), calibration)
        reasons = _by_template(doubts)
        kept = [each for number, each in enumerate(templates) if number not in reasons]
        for number, reason in sorted(reasons.items()):
            refused.append(Refusal(templates[number].source, name, reason))
        for template in kept:
            owners[template.photo_sha256].append(name)
        if before is not None:
            before.add(name, kept)
        if kept:
            accepted.append((name, kept))
    return accepted, refused


class _Before:
    """What new templates are held against: the enrolled people and those that came before."""

    def __init__(self, store: Store, index: SearchIndex, people: People) -> None:
        self._store = store
        self._size = store.embedding_size
        self._enrolled = len(index)
        probes = [each.embedding for _, templates in people for each in templates]
        found = index.best_identities(self._stacked(probes), 2)
        self._found = iter([[Candidate(*each) for each in one] for one in found])
        self._names: list[str] = []
        self._embeddings: list[np.ndarray] = []

    def __len__(self) -> int:
        """How many templates there are."""
        return self._enrolled + len(self._names)

    def nearest(self, name: str, templates: Sequence[NewTemplate]) -> list[list[Candidate]]:
        """For each of the next templates, which are ``name``'s, the nearest identities, in order.

        At least the nearest other identity is among them, if there is one.
        """
        scores = self._stacked([each.embedding for each in templates]) @ (
            self._stacked(self._embeddings).T
        )
        found = []
        for row in scores:
            candidates = list(next(self._found))
            if len(row):
                best = int(row.argmax())
                candidates.append(Candidate(self._names[best], float(row[best])))
            found.append(sorted(candidates, key=lambda each: -each.score))
        return found

    def own(self, name: str) -> np.ndarray:
        """The embeddings (n, D) that ``name`` has already."""
        with suppress(NotEnrolledError, GalleryDamagedError):
            return self._store.embeddings(name)
        return self._stacked([])

    def add(self, name: str, templates: Sequence[NewTemplate]) -> None:
        """Hold those that come later against these too."""
        self._names += [name] * len(templates)
        self._embeddings += [each.embedding for each in templates]

    def _stacked(self, embeddings: Sequence[np.ndarray]) -> np.ndarray:
        return np.array(embeddings, dtype=np.float32).reshape(-1, self._size)


def _by_template(doubts: Sequence[Doubt]) -> dict[int, str]:
    reasons: dict[int, str] = {}
    for number, sentence in doubts:
        reasons[number] = f"{reasons[number]} {sentence}" if number in reasons else sentence
    return reasons
