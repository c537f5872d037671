"""One collection that is open: its settings, and how its rows are read and erased."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg

from mfr.errors import GalleryError, WriteError
from mfr.gallery.encryption_state import insist_on_same
from mfr.gallery.postgres import change_log, collection, envelopes, erasure
from mfr.gallery.postgres.address import Address
from mfr.gallery.postgres.transactions import Transactions
from mfr.gallery.records import ModelSource
from mfr.gallery.rows import PlainRows, Rows
from mfr.gallery.sealed_rows import SealedRows
from mfr.gallery.store import BUSY_SECONDS


class OpenCollection:
    """The part of `mfr.gallery.store.Store` that is about the gallery as a whole.

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
                found = self._existing(change_log.state(connection, self._collection.id))
                self._take_up(connection, found.encryption)
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

    @property
    def is_encrypted(self) -> bool:
        """Whether what the tables hold can be read only with the gallery's key."""
        return bool(self._encryption)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[psycopg.Connection[Any]]:
        """One consistent view of the database, which is encrypted as it was."""
        with self._transactions.reading() as connection:
            self._known(change_log.state(connection, self._collection.id))
            yield connection

    def _take_up(self, connection: psycopg.Connection[Any], encryption: str) -> None:
        """Read and write rows as they lie with this encryption; none if it is empty."""
        rows: Rows = PlainRows()
        if encryption:
            where = self._address.text
            rows = SealedRows(envelopes.seal_of(connection, self._collection.id, where))
        self._encryption, self._rows = encryption, rows

    def _existing(self, state: change_log.State | None) -> change_log.State:
        if state is None:
            raise collection.missing(self._address)
        return state

    def _known(self, state: change_log.State | None) -> change_log.State:
        """The state, if it is there and encrypted as it was when it was opened."""
        found = self._existing(state)
        insist_on_same(found.encryption, self._encryption, self._address.text)
        return found

    def _erase(self) -> None:
        """Vacuum what was removed, if that is not done; where it cannot be, the mark stays."""
        self._erasing = True
        with (
            contextlib.suppress(GalleryError, WriteError),
            self._transactions.connected() as connection,
        ):
            self._erasing = not erasure.finish(connection, self._collection)
