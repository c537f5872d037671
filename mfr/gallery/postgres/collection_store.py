"""The part of a store in a database that is about the gallery as a whole and about its people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from mfr.errors import NotEnrolledError
from mfr.gallery.audit import AuditEntry, present_actor
from mfr.gallery.people import Details, EnrolledPerson, checked
from mfr.gallery.postgres import change_log, collection, details, identities
from mfr.gallery.postgres.address import Address
from mfr.gallery.postgres.transactions import Transactions
from mfr.gallery.records import ModelSource
from mfr.gallery.store import BUSY_SECONDS


class CollectionInDatabase:
    """The part of `mfr.gallery.store.Store` that is not about templates.

    Args:
        address: where the gallery is.
        busy_seconds: how long a writer waits for another one.
    """

    chain_key = b""
    is_encrypted = False

    def __init__(self, address: Address, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._address = address
        self._transactions = Transactions(address, busy_seconds)
        self._erasing = False  # whether something was removed and is not erased yet
        self.actor = present_actor()
        try:
            with self._transactions.connected() as connection:
                self._collection = collection.find(connection, address)
        except BaseException:
            self._transactions.close()
            raise

    @property
    def model_hash(self) -> str:
        """The hash of the model that all templates were made with."""
        return self._collection.model_hash

    @property
    def embedding_size(self) -> int:
        """D, the length of every embedding."""
        return self._collection.embedding_size

    @property
    def secret(self) -> str:
        """Something random that only those who may read the collection know."""
        return self._collection.secret

    @property
    def stamp(self) -> str:
        """Names the present state: a counter, and a token that no other change has."""
        with self._transactions.connected() as connection:
            return self._known(change_log.state(connection, self._collection.id)).stamp

    def model_source(self) -> ModelSource | None:
        """Where the model was last found, if anyone said."""
        with self._transactions.connected() as connection:
            return collection.model_source(connection, self._address, self._collection)

    def remember_model(self, source: ModelSource) -> None:
        """Remember where the model was found."""
        with self._transactions.connected() as connection:
            if collection.model_source(connection, self._address, self._collection) != source:
                collection.remember_model(connection, self._collection, source)

    def note(self, name: str) -> str | None:
        """The text that is kept under ``name``, if any."""
        with self._transactions.connected() as connection:
            row = connection.execute(
                "SELECT text FROM mfr.notes WHERE collection_id = %s AND name = %s",
                (self._collection.id, name),
            ).fetchone()
        return None if row is None else str(row[0])

    def put_note(self, name: str, text: str) -> None:
        """Keep a short text under ``name``, in place of another."""
        with self._transactions.connected() as connection:
            connection.execute(
                "INSERT INTO mfr.notes VALUES (%s, %s, %s) "
                "ON CONFLICT (collection_id, name) DO UPDATE SET text = excluded.text",
                (self._collection.id, name, text),
            )

    def person(self, name: str) -> EnrolledPerson:
        """What is noted of ``name``; see `mfr.gallery.store.Store.person`."""
        with self._transactions.reading() as connection:
            number = self._identity(connection, name)
            return details.read(connection, self._collection, "id = %s", [number])[0]

    def people(self) -> list[EnrolledPerson]:
        """Everybody, by name; see `mfr.gallery.store.Store.people`."""
        with self._transactions.reading() as connection:
            return details.read(connection, self._collection)

    def person_of(self, external_id: str) -> EnrolledPerson | None:
        """Whose external id it is; see `mfr.gallery.store.Store.person_of`."""
        with self._transactions.reading() as connection:
            found = details.read(connection, self._collection, "external_id = %s", [external_id])
        return found[0] if found else None

    def describe(self, name: str, noted: Details) -> None:
        """Note details of ``name``; see `mfr.gallery.store.Store.describe`."""
        fit = checked(noted)

        def work(connection: psycopg.Connection[Any]) -> None:
            before = self._known(change_log.locked_state(connection, self._collection.id))
            person = self._identity(connection, name)
            details.describe(connection, self._collection, person, fit)
            self._log(connection, "described", person, {})
            change_log.advance(connection, self._collection.id, before)

        self._transactions.repeated(work)

    def members(self, group: str) -> list[str]:
        """The names of the people in a group, in order."""
        with self._transactions.reading() as connection:
            return details.members(connection, self._collection, group)

    def log(self, event: str, *, person: str | None, facts: Mapping[str, Any]) -> None:
        """Add an entry to the audit log; see `mfr.gallery.store.Store.log`."""

        def work(connection: psycopg.Connection[Any]) -> None:
            self._known(change_log.locked_state(connection, self._collection.id))
            number = None if person is None else self._identity(connection, person)
            self._log(connection, event, number, facts)

        self._transactions.repeated(work)

    def audit(self, after: int = 0) -> list[AuditEntry]:
        """The entries of the audit log; see `mfr.gallery.store.Store.audit`."""
        with self._transactions.reading() as connection:
            return details.entries(connection, self._collection, after)

    def _log(
        self,
        connection: psycopg.Connection[Any],
        event: str,
        person: int | None,
        facts: Mapping[str, Any],
    ) -> None:
        details.log(connection, self._collection, self.actor, event, person, facts)

    def _known(self, state: change_log.State | None) -> change_log.State:
        if state is None:
            raise collection.missing(self._address)
        return state

    def _identity(self, connection: psycopg.Connection[Any], name: str) -> int:
        number = identities.number_of(connection, self._collection, name)
        if number is None:
            raise NotEnrolledError(
                f"'{name}' is not enrolled in {self._address.text}: "
                f"'mfr gallery list {self._address.text}' says who is."
            )
        return number
