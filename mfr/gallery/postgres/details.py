"""What a database keeps of people besides their templates, and the audit log."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import psycopg

from mfr.errors import GalleryError, NotEnrolledError, WriteError
from mfr.gallery.audit import AuditEntry, present_actor
from mfr.gallery.people import Details, EnrolledPerson, checked, nobody_numbered
from mfr.gallery.postgres import (
    audit_log,
    change_log,
    collection,
    erasure,
    identities,
    noted_people,
)
from mfr.gallery.postgres.address import Address
from mfr.gallery.postgres.transactions import Transactions
from mfr.gallery.store import BUSY_SECONDS


class DetailsInDatabase:
    """The part of `mfr.gallery.store.Store` that is about people and what happened to them.

    Args:
        address: where the gallery is.
        busy_seconds: how long a writer waits for another one.
    """

    def __init__(self, address: Address, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._address = address
        self._transactions = Transactions(address, busy_seconds)
        self._erasing = False  # whether something was removed and is not erased yet
        try:
            with self._transactions.connected() as connection:
                self._collection = collection.find(connection, address)
            self._erase()
        except BaseException:
            self._transactions.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        if self._erasing:
            self._erase()
        self._transactions.close()

    @property
    def actor(self) -> str:
        """Who works with the gallery, for the audit log; see `mfr.gallery.store.Store.actor`."""
        return present_actor()

    def person(self, name: str) -> EnrolledPerson:
        """What is noted of ``name``; see `mfr.gallery.store.Store.person`."""
        with self._transactions.reading() as connection:
            return noted_people.one(connection, self._identity(connection, name))

    def people(self) -> list[EnrolledPerson]:
        """Everybody, by name; see `mfr.gallery.store.Store.people`."""
        with self._transactions.reading() as connection:
            return noted_people.everybody(connection, self._collection)

    def person_numbered(self, number: int) -> EnrolledPerson:
        """Who has this number; see `mfr.gallery.store.Store.person_numbered`."""
        with self._transactions.reading() as connection:
            found = noted_people.some(connection, self._collection, number - 1, 1)
        if not found or found[0].id != number:
            raise nobody_numbered(number)
        return found[0]

    def people_after(self, number: int, limit: int) -> list[EnrolledPerson]:
        """Some people, by number; see `mfr.gallery.store.Store.people_after`."""
        with self._transactions.reading() as connection:
            return noted_people.some(connection, self._collection, number, limit)

    def person_of(self, external_id: str) -> EnrolledPerson | None:
        """Whose external id it is; see `mfr.gallery.store.Store.person_of`."""
        with self._transactions.reading() as connection:
            number = noted_people.owner_of(connection, self._collection, external_id)
            return None if number is None else noted_people.one(connection, number)

    def describe(self, name: str, details: Details) -> None:
        """Note details of ``name``; see `mfr.gallery.store.Store.describe`."""
        noted = checked(details)

        def work(connection: psycopg.Connection[Any]) -> bool:
            before = self._known(change_log.locked_state(connection, self._collection.id))
            number = self._identity(connection, name)
            replaced = noted_people.is_described(connection, number)
            noted_people.describe(connection, self._collection, number, noted, now())
            self._log(connection, "described", number, {})
            change_log.advance(connection, self._collection.id, before)
            if replaced:
                erasure.mark(connection, self._collection)
            return replaced

        if self._transactions.repeated(work):
            self._erase()

    def members(self, group: str) -> list[str]:
        """The names of the people in a group, in order."""
        with self._transactions.connected() as connection:
            return noted_people.members(connection, self._collection, group)

    def log(self, event: str, *, person: str | None, facts: Mapping[str, Any]) -> None:
        """Add an entry to the audit log; see `mfr.gallery.store.Store.log`."""

        def work(connection: psycopg.Connection[Any]) -> None:
            number = None
            if person is not None:
                number = identities.number_of(connection, self._collection, person)
            self._log(connection, event, number, facts)

        self._transactions.repeated(work)

    def audit(self, after: int = 0) -> list[AuditEntry]:
        """The entries of the audit log; see `mfr.gallery.store.Store.audit`."""
        with self._transactions.connected() as connection:
            return audit_log.entries(connection, self._collection, after)

    @property
    def chain_key(self) -> bytes:
        """What the audit log is chained with: nothing, so by a plain hash."""
        return audit_log.CHAIN_KEY

    @property
    def is_encrypted(self) -> bool:
        """False: who may read the tables may read what is in them."""
        return False

    def _known(self, state: change_log.State | None) -> change_log.State:
        if state is None:
            raise collection.missing(self._address)
        return state

    def _log(
        self,
        connection: psycopg.Connection[Any],
        event: str,
        number: int | None,
        facts: Mapping[str, Any],
    ) -> None:
        audit_log.append(connection, self._collection, now(), self.actor, event, number, facts)

    def _erase(self) -> None:
        """Vacuum what was removed, if that is not done; where it cannot be, the mark stays."""
        self._erasing = True
        with (
            contextlib.suppress(GalleryError, WriteError),
            self._transactions.connected() as connection,
        ):
            self._erasing = not erasure.finish(connection, self._collection)

    def _identity(self, connection: psycopg.Connection[Any], name: str) -> int:
        number = identities.number_of(connection, self._collection, name)
        if number is None:
            raise NotEnrolledError(
                f"'{name}' is not enrolled in {self._address.text}: "
                f"'mfr gallery list {self._address.text}' says who is."
            )
        return number


def now() -> str:
    """The present time as the tables record it: UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
