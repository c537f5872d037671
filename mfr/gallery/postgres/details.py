"""What a database keeps of people besides their templates, and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import psycopg

from mfr.errors import NotEnrolledError
from mfr.gallery.audit import AuditEntry, present_actor
from mfr.gallery.people import Details, EnrolledPerson, checked, nobody_numbered
from mfr.gallery.postgres import (
    audit_log,
    change_log,
    erasure,
    identities,
    noted_people,
)
from mfr.gallery.postgres.address import Address
from mfr.gallery.postgres.open_collection import OpenCollection
from mfr.gallery.store import BUSY_SECONDS


class DetailsInDatabase(OpenCollection):
    """The part of `mfr.gallery.store.Store` that is about people and what happened to them.

    Args:
        address: where the gallery is.
        busy_seconds: how long a writer waits for another one.
    """

    def __init__(self, address: Address, *, busy_seconds: float = BUSY_SECONDS) -> None:
        super().__init__(address, busy_seconds=busy_seconds)

    @property
    def actor(self) -> str:
        """Who works with the gallery, for the audit log; see `mfr.gallery.store.Store.actor`."""
        return present_actor()

    def person(self, name: str) -> EnrolledPerson:
        """What is noted of ``name``; see `mfr.gallery.store.Store.person`."""
        with self._reading() as connection:
            return noted_people.one(connection, self._identity(connection, name), self._rows)

    def people(self) -> list[EnrolledPerson]:
        """Everybody, by name; see `mfr.gallery.store.Store.people`."""
        with self._reading() as connection:
            return noted_people.everybody(connection, self._collection, self._rows)

    def person_numbered(self, number: int) -> EnrolledPerson:
        """Who has this number; see `mfr.gallery.store.Store.person_numbered`."""
        with self._reading() as connection:
            found = noted_people.some(connection, self._collection, number - 1, 1, self._rows)
        if not found or found[0].id != number:
            raise nobody_numbered(number)
        return found[0]

    def people_after(self, number: int, limit: int) -> list[EnrolledPerson]:
        """Some people, by number; see `mfr.gallery.store.Store.people_after`."""
        with self._reading() as connection:
            return noted_people.some(connection, self._collection, number, limit, self._rows)

    def counts(self) -> tuple[int, int]:
        """How many there are; see `mfr.gallery.store.Store.counts`."""
        with self._reading() as connection:
            return noted_people.counts(connection, self._collection)

    def person_of(self, external_id: str) -> EnrolledPerson | None:
        """Whose external id it is; see `mfr.gallery.store.Store.person_of`."""
        with self._reading() as connection:
            number = noted_people.owner_of(connection, self._collection, external_id, self._rows)
            return None if number is None else noted_people.one(connection, number, self._rows)

    def describe(self, name: str, details: Details) -> None:
        """Note details of ``name``; see `mfr.gallery.store.Store.describe`."""
        noted = checked(details)

        def work(connection: psycopg.Connection[Any]) -> bool:
            before = self._known(change_log.locked_state(connection, self._collection.id))
            number = self._identity(connection, name)
            replaced = noted_people.is_described(connection, number)
            noted_people.describe(connection, self._collection, number, noted, now(), self._rows)
            self._log(connection, "described", number, {})
            change_log.advance(connection, self._collection.id, before)
            if replaced:
                erasure.mark(connection, self._collection)
            return replaced

        if self._transactions.repeated(work):
            self._erase()

    def members(self, group: str) -> list[str]:
        """The names of the people in a group, in order."""
        with self._reading() as connection:
            return noted_people.members(connection, self._collection, group, self._rows)

    def log(self, event: str, *, person: str | None, facts: Mapping[str, Any]) -> None:
        """Add an entry to the audit log; see `mfr.gallery.store.Store.log`."""

        def work(connection: psycopg.Connection[Any]) -> None:
            number = None
            audit_log.lock(connection, self._collection)
            self._known(change_log.state(connection, self._collection.id))
            if person is not None:
                number = identities.number_of(connection, self._collection, person, self._rows)
            self._log(connection, event, number, facts)

        self._transactions.repeated(work)

    def audit(self, after: int = 0) -> list[AuditEntry]:
        """The entries of the audit log; see `mfr.gallery.store.Store.audit`."""
        with self._transactions.connected() as connection:
            return audit_log.entries(connection, self._collection, after)

    @property
    def chain_key(self) -> bytes:
        """What the audit log is chained with; empty in a gallery that is not encrypted."""
        return self._rows.chain_key

    def _log(
        self,
        connection: psycopg.Connection[Any],
        event: str,
        number: int | None,
        facts: Mapping[str, Any],
    ) -> None:
        key = self._rows.chain_key
        audit_log.append(connection, self._collection, now(), self.actor, event, number, facts, key)

    def _identity(self, connection: psycopg.Connection[Any], name: str) -> int:
        number = identities.number_of(connection, self._collection, name, self._rows)
        if number is None:
            raise NotEnrolledError(
                f"'{name}' is not enrolled in {self._address.text}: "
                f"'mfr gallery list {self._address.text}' says who is."
            )
        return number


def now() -> str:
    """The present time as the tables record it: UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
