"""What a gallery file keeps of people besides their templates, and its audit log."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfr.errors import NotEnrolledError
from mfr.gallery.audit import AuditEntry, present_actor
from mfr.gallery.people import Details, EnrolledPerson, checked, nobody_numbered
from mfr.gallery.sqlite import audit_log, change_log, encryption, erasure, people, schema
from mfr.gallery.sqlite.rows import WITH_DETAILS, FileRows, plain, sealed
from mfr.gallery.sqlite.settings import SettingsInFile
from mfr.gallery.store import BUSY_SECONDS


class DetailsInFile(SettingsInFile):
    """The part of `mfr.gallery.store.Store` that is about people and what happened to them.

    Args:
        directory: the gallery's.
        busy_seconds: how long a writer waits for another one.
    """

    def __init__(self, directory: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        super().__init__(directory, busy_seconds=busy_seconds)
        self._sealed: FileRows | None = None
        if self._file.encryption:
            try:
                with self._file.reading() as connection:
                    self._sealed = sealed(encryption.seal_of(connection, directory))
            except BaseException:
                self._file.close()
                raise

    @property
    def actor(self) -> str:
        """Who works with the gallery, for the audit log; see `mfr.gallery.store.Store.actor`."""
        return present_actor()

    def person(self, name: str) -> EnrolledPerson:
        """What is noted of ``name``; see `mfr.gallery.store.Store.person`."""
        with self._file.reading() as connection:
            number = self._person(connection, name)
            return people.read(connection, self._rows, "WHERE identities.id = ?", [number])[0]

    def people(self) -> list[EnrolledPerson]:
        """Everybody, by name; see `mfr.gallery.store.Store.people`."""
        with self._file.reading() as connection:
            return people.read(connection, self._rows)

    def person_numbered(self, number: int) -> EnrolledPerson:
        """Who has this number; see `mfr.gallery.store.Store.person_numbered`."""
        with self._file.reading() as connection:
            found = people.read(connection, self._rows, "WHERE identities.id = ?", [number])
        if not found:
            raise nobody_numbered(number)
        return found[0]

    def people_after(self, number: int, limit: int) -> list[EnrolledPerson]:
        """Some people, by number; see `mfr.gallery.store.Store.people_after`."""
        some = "SELECT id FROM identities WHERE id > ? ORDER BY id LIMIT ?"
        with self._file.reading() as connection:
            found = people.read(
                connection, self._rows, f"WHERE identities.id IN ({some})", [number, limit]
            )
        return sorted(found, key=lambda person: person.id)

    def counts(self) -> tuple[int, int]:
        """How many there are; see `mfr.gallery.store.Store.counts`."""
        question = "SELECT (SELECT COUNT(*) FROM identities), (SELECT COUNT(*) FROM templates)"
        with self._file.reading() as connection:
            people, templates = connection.execute(question).fetchone()
        return people, templates

    def person_of(self, external_id: str) -> EnrolledPerson | None:
        """Whose external id it is; see `mfr.gallery.store.Store.person_of`."""
        if self._file.version < WITH_DETAILS or not external_id:
            return None
        with self._file.reading() as connection:
            key = self._rows.content.key("external id", external_id)
            found = people.read(connection, self._rows, "WHERE external_id = ?", [key])
        return found[0] if found else None

    def describe(self, name: str, details: Details) -> None:
        """Note details of ``name``; see `mfr.gallery.store.Store.describe`."""
        noted = checked(details)
        with self._file.writing() as connection:
            person = self._person(connection, name)
            replaced = people.is_described(connection, person)
            people.describe(connection, person, noted, schema.now(), self._rows)
            self._log(connection, "described", name, {})
            change_log.advance(connection)
            if replaced:
                erasure.mark(connection)
        if replaced:
            self._file.finish_erasure(patient=True)

    def members(self, group: str) -> list[str]:
        """The names of the people in a group, in order."""
        if self._file.version < WITH_DETAILS:
            return []
        with self._file.reading() as connection:
            return people.members(connection, group, self._rows)

    def log(self, event: str, *, person: str | None, facts: Mapping[str, Any]) -> None:
        """Add an entry to the audit log; see `mfr.gallery.store.Store.log`."""
        with self._file.writing() as connection:
            self._log(connection, event, person, facts)

    def audit(self, after: int = 0) -> list[AuditEntry]:
        """The entries of the audit log; see `mfr.gallery.store.Store.audit`."""
        if self._file.version < WITH_DETAILS:
            return []
        with self._file.reading() as connection:
            return list(audit_log.entries(connection, after))

    @property
    def chain_key(self) -> bytes:
        """What the audit log is chained with; empty in a gallery that is not encrypted."""
        return self._rows.content.chain_key

    @property
    def is_encrypted(self) -> bool:
        """Whether what the file holds can be read only with its key."""
        return bool(self._file.encryption)

    @property
    def _rows(self) -> FileRows:
        return self._sealed or plain(self._file.version)

    def _log(
        self, connection: sqlite3.Connection, event: str, name: str | None, facts: Mapping[str, Any]
    ) -> None:
        person = None if name is None else people.find(connection, name, self._rows)
        key = self._rows.content.chain_key
        audit_log.append(connection, schema.now(), self.actor, event, person, facts, key)

    def _person(self, connection: sqlite3.Connection, name: str) -> int:
        number = people.find(connection, name, self._rows)
        if number is None:
            raise NotEnrolledError(
                f"'{name}' is not enrolled in {self.directory}: "
                f"'mfr gallery list {self.directory}' says who is."
            )
        return number
