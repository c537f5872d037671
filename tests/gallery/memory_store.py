"""The smallest store: a list in memory, to show what the contract asks for and no more."""

from __future__ import annotations

import copy
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mfr.errors import GalleryError, NotEnrolledError
from mfr.gallery.audit import BEGINNING, AuditEntry, linked, present_actor
from mfr.gallery.people import Details, EnrolledPerson, checked, nobody_numbered
from mfr.gallery.records import (
    Changes,
    EnrolledVectors,
    IdentitySummary,
    ModelSource,
    NewTemplate,
    Snapshot,
    Template,
    check_embeddings,
)

NOW = "2026-01-01T00:00:00+00:00"


@dataclass
class Shelf:
    """What several stores may have open. States are kept whole: the ids each one had, by stamp."""

    model_hash: str
    embedding_size: int
    rows: dict[int, tuple[str, NewTemplate]] = field(default_factory=dict)
    states: dict[str, list[int]] = field(default_factory=lambda: {secrets.token_hex(8): []})
    last_id: int = 0
    source: ModelSource | None = None
    notes: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    last_number: int = 0
    details: dict[str, Details] = field(default_factory=dict)
    entries: list[AuditEntry] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def copy(self) -> Shelf:
        return Shelf(
            self.model_hash,
            self.embedding_size,
            dict(self.rows),
            copy.deepcopy(self.states),
            self.last_id,
            self.source,
            dict(self.notes),
            dict(self.numbers),
            self.last_number,
            dict(self.details),
            list(self.entries),
        )


class MemoryStore:
    chain_key = b""
    is_encrypted = False

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    @property
    def actor(self) -> str:
        return present_actor()

    @property
    def model_hash(self) -> str:
        return self.shelf.model_hash

    @property
    def embedding_size(self) -> int:
        return self.shelf.embedding_size

    @property
    def stamp(self) -> str:
        with self.shelf.lock:
            return list(self.shelf.states)[-1]

    def snapshot(self) -> Snapshot:
        with self.shelf.lock:
            return Snapshot(self.stamp, self._vectors(list(self.shelf.rows)))

    def changes(self, since: str) -> Changes | None:
        with self.shelf.lock:
            then = self.shelf.states.get(since)
            if then is None:
                return None
            added = [number for number in self.shelf.rows if number not in then]
            removed = [number for number in then if number not in self.shelf.rows]
            return Changes(self.stamp, self._vectors(added), np.array(removed, dtype=np.int64))

    @property
    def secret(self) -> str:
        return "shelf"

    def has_removed(self, since: str) -> bool:
        changes = self.changes(since)
        return changes is None or len(changes.removed) > 0

    def add(self, name: str, templates: Sequence[NewTemplate]) -> list[int | None]:
        for template in templates:
            check_embeddings(np.asarray(template.embedding)[None], self.embedding_size)
        with self.shelf.lock:
            ids: list[int | None] = []
            for template in templates:
                had = {
                    each.photo_sha256 for owner, each in self.shelf.rows.values() if owner == name
                }
                if template.photo_sha256 in had:
                    ids.append(None)
                    continue
                self.shelf.last_id += 1
                self.shelf.rows[self.shelf.last_id] = name, template
                ids.append(self.shelf.last_id)
                if name not in self.shelf.numbers:
                    self.shelf.last_number += 1
                    self.shelf.numbers[name] = self.shelf.last_number
            self._changed()
            new = [number for number in ids if number is not None]
            if new:
                self.log("enrolled", person=name, facts={"templates": new})
        return ids

    def add_many(self, people: Iterable[tuple[str, Sequence[NewTemplate]]]) -> int:
        with self.shelf.lock:
            before, last = dict(self.shelf.rows), self.shelf.last_id
            try:
                added = [new for name, templates in people for new in self.add(name, templates)]
            except BaseException:
                self.shelf.rows, self.shelf.last_id = before, last
                self._changed()
                raise
        return sum(new is not None for new in added)

    def remove(self, name: str, template_id: int | None = None) -> int:
        with self.shelf.lock:
            going = [row for row in self._rows(name) if template_id in (None, row)]
            if not going:
                raise NotEnrolledError(f"'{name}' has no template {template_id}.")
            self.log("removed", person=name, facts={"templates": going})
            for row in going:
                del self.shelf.rows[row]
            if not any(owner == name for owner, _ in self.shelf.rows.values()):
                del self.shelf.numbers[name]
                self.shelf.details.pop(name, None)
            self._changed()
        return len(going)

    def identities(self) -> list[IdentitySummary]:
        with self.shelf.lock:
            owners = [owner for owner, _ in self.shelf.rows.values()]
        return [IdentitySummary(name, owners.count(name), NOW, NOW) for name in sorted({*owners})]

    def templates(self, name: str) -> list[Template]:
        with self.shelf.lock:
            kept = [(row, self.shelf.rows[row][1]) for row in self._rows(name)]
        return [
            Template(
                row,
                each.source,
                each.photo_sha256,
                each.enrolled or NOW,
                dict(each.quality),
                each.detector,
                crop="kept" if each.crop else "none",
            )
            for row, each in kept
        ]

    def whole_templates(self, name: str) -> list[NewTemplate]:
        with self.shelf.lock:
            kept = [self.shelf.rows[row][1] for row in self._rows(name)]
        return [replace(each, enrolled=each.enrolled or NOW, remarks=()) for each in kept]

    def embeddings(self, name: str) -> np.ndarray:
        with self.shelf.lock:
            return self._vectors(self._rows(name)).embeddings

    def owners_of_photos(self, digests: Sequence[str]) -> dict[str, list[str]]:
        owners: dict[str, list[str]] = {}
        with self.shelf.lock:
            for name, template in self.shelf.rows.values():
                if template.photo_sha256 in digests:
                    owners.setdefault(template.photo_sha256, []).append(name)
        return {digest: sorted(names) for digest, names in owners.items()}

    def person(self, name: str) -> EnrolledPerson:
        count = len(self._rows(name))
        details = self.shelf.details.get(name, Details())
        return EnrolledPerson(self.shelf.numbers[name], name, details, count, NOW, NOW)

    def people(self) -> list[EnrolledPerson]:
        return [self.person(each.identity) for each in self.identities()]

    def person_numbered(self, number: int) -> EnrolledPerson:
        found = self.people_after(number - 1, 1)
        if not found or found[0].id != number:
            raise nobody_numbered(number)
        return found[0]

    def people_after(self, number: int, limit: int) -> list[EnrolledPerson]:
        found = [each for each in self.people() if each.id > number]
        return sorted(found, key=lambda each: each.id)[:limit]

    def counts(self) -> tuple[int, int]:
        people = self.identities()
        return len(people), sum(each.templates for each in people)

    def person_of(self, external_id: str) -> EnrolledPerson | None:
        found = (each for each in self.people() if each.details.external_id == external_id)
        return next(found, None) if external_id else None

    def describe(self, name: str, details: Details) -> None:
        noted = checked(details)
        with self.shelf.lock:
            self._rows(name)
            taken = self.person_of(noted.external_id)
            if taken is not None and taken.identity != name:
                raise GalleryError(f"The external id is that of '{taken.identity}'.")
            self.shelf.details[name] = noted
            self._changed()
            self.log("described", person=name, facts={})

    def members(self, group: str) -> list[str]:
        return [each.identity for each in self.people() if group in each.details.groups]

    def log(self, event: str, *, person: str | None, facts: Mapping[str, Any]) -> None:
        with self.shelf.lock:
            entries = self.shelf.entries
            whom = None if person is None else self.shelf.numbers[person]
            new = AuditEntry(len(entries) + 1, NOW, self.actor, event, whom, dict(facts))
            before = entries[-1].link if entries else BEGINNING
            entries.append(replace(new, link=linked(new, before, self.chain_key)))

    def audit(self, after: int = 0) -> list[AuditEntry]:
        return self.shelf.entries[after:]

    def model_source(self) -> ModelSource | None:
        return self.shelf.source

    def remember_model(self, source: ModelSource) -> None:
        self.shelf.source = source

    def note(self, name: str) -> str | None:
        return self.shelf.notes.get(name)

    def put_note(self, name: str, text: str) -> None:
        self.shelf.notes[name] = text

    def remarks(self) -> list[str]:
        return []

    def check_integrity(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _rows(self, name: str) -> list[int]:
        rows = [row for row, (owner, _) in self.shelf.rows.items() if owner == name]
        if not rows:
            raise NotEnrolledError(f"'{name}' is not enrolled.")
        return rows

    def _vectors(self, ids: list[int]) -> EnrolledVectors:
        rows = [self.shelf.rows[number] for number in ids]
        embeddings = np.array([template.embedding for _, template in rows], dtype=np.float32)
        return EnrolledVectors(
            np.array(ids, dtype=np.int64),
            [owner for owner, _ in rows],
            embeddings.reshape(len(ids), self.embedding_size),
        )

    def _changed(self) -> None:
        self.shelf.states[secrets.token_hex(8)] = list(self.shelf.rows)
