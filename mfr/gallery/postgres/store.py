"""The truth of a gallery in a PostgreSQL database, as one collection among others."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import psycopg

from mfr.errors import (
    GalleryDamagedError,
    GalleryError,
    GalleryWarning,
    NotEnrolledError,
    WriteError,
)
from mfr.gallery.encryption_state import insist_on_plain, remarks_on_key
from mfr.gallery.postgres import (
    audit_log,
    change_log,
    collection,
    database_index,
    encryption,
    envelopes,
    erasure,
    identities,
)
from mfr.gallery.postgres.address import Address
from mfr.gallery.postgres.database_index import DatabaseIndex
from mfr.gallery.postgres.details import DetailsInDatabase, now
from mfr.gallery.postgres.storing import insert, pieces
from mfr.gallery.postgres.templates import crops_of, read_vectors, rows_of, shown, whole_rows
from mfr.gallery.postgres.transactions import Transactions
from mfr.gallery.records import (
    Changes,
    DamagedTemplate,
    IdentitySummary,
    NewTemplate,
    Snapshot,
    Template,
)
from mfr.gallery.rows import Rows
from mfr.gallery.store import BUSY_SECONDS, Location
from mfr.sealing.envelope import key_name
from mfr.sealing.master_key import master_key

_MANY: Final = 1000
"""After so many new templates at once, the statistics that PostgreSQL plans by are made anew."""

_DAMAGED_CROP: Final = (
    "The crop that is kept of template {} is damaged and will not be used: remove the template and "
    "enroll the photo again, or restore the gallery from a backup."
)

_NOT_ERASED: Final = (
    "Rows of people who were removed from {} may still lie in its tables, because a transaction "
    "older than the removal was running or your role may not vacuum them: run 'mfr gallery "
    "rebuild' as mfr_writer or mfr_admin."
)

_NOT_ANEW: Final = (
    "What was there before may still lie in the files of the tables of {}, because another program "
    "was in the way or you do not own them: let their owner run VACUUM (FULL, ANALYZE)."
)

_NO_FSYNC: Final = (
    "The database of {} runs with fsync off: what was enrolled can be lost with its power. Set "
    "fsync = on in postgresql.conf."
)


class PostgresStore(DetailsInDatabase):
    """A store in a database; see `mfr.gallery.store.Store`.

    Writers of one collection wait for one another; those of different collections do not, and
    readers never. A connection that was lost is made anew by the next call.
    """

    @classmethod
    def open(cls, location: Location, *, busy_seconds: float = BUSY_SECONDS) -> PostgresStore:
        """Open the store at an address. Errors as `mfr.gallery.store.open_store`."""
        return cls(Address.of(location), busy_seconds=busy_seconds)

    @classmethod
    def create(
        cls,
        location: Location,
        *,
        model_hash: str,
        embedding_size: int,
        busy_seconds: float = BUSY_SECONDS,
        plain: bool = False,
    ) -> PostgresStore:
        """Make an empty store and open it. Errors as `mfr.gallery.store.create_store`."""
        address, master = Address.of(location), None if plain else master_key()
        with (
            contextlib.closing(Transactions(address, busy_seconds)) as transactions,
            transactions.connected() as connection,
        ):
            collection.create(
                connection,
                address,
                model_hash=model_hash,
                embedding_size=embedding_size,
                master=master,
            )
        return cls(address, busy_seconds=busy_seconds)

    @classmethod
    def occupied(cls, location: Location) -> bool:
        """Whether the database has the collection.

        Raises:
            GalleryUnreachableError: the database cannot be reached.
        """
        address = Address.of(location)
        with (
            contextlib.closing(Transactions(address, BUSY_SECONDS)) as transactions,
            transactions.connected() as connection,
        ):
            return collection.is_there(connection, address)

    def add(self, name: str, templates: Sequence[NewTemplate]) -> list[int | None]:
        """Store templates under ``name``; see `mfr.gallery.store.Store.add`."""

        def work(connection: psycopg.Connection[Any]) -> list[int | None]:
            ids = self._insert(connection, [(name, templates)])
            if new := [number for number in ids if number is not None]:
                owner = self._identity(connection, name)
                self._log(connection, "enrolled", owner, {"templates": new})
            return ids

        return self._transactions.repeated(work)

    def add_many(self, people: Iterable[tuple[str, Sequence[NewTemplate]]]) -> int:
        """Store the templates of many identities; see `mfr.gallery.store.Store.add_many`."""
        # Not repeated: what has been taken from ``people`` cannot be taken again.
        with self._transactions.writing() as connection:
            ids = self._insert(connection, people)
            new = [number for number in ids if number is not None]
            if new:
                facts = {"count": len(new), "first_template": new[0], "last_template": new[-1]}
                self._log(connection, "enrolled many", None, facts)
        if len(new) >= _MANY:
            self._learn_sizes()
        return len(new)

    def remove(self, name: str, template_id: int | None = None) -> int:
        """Remove an identity or one of its templates; see `mfr.gallery.store.Store.remove`."""

        def work(connection: psycopg.Connection[Any]) -> list[int]:
            before = self._known(change_log.locked_state(connection, self._collection.id))
            owner = self._identity(connection, name)
            ids = identities.remove(connection, owner, template_id, now())
            if template_id is not None and not ids:
                raise NotEnrolledError(
                    f"'{name}' has no template {template_id}: "
                    f"'mfr gallery show {self._address.text} {name}' lists those it has."
                )
            self._log(connection, "removed", owner, {"templates": ids})
            change_log.advance(connection, self._collection.id, before, removed=ids)
            erasure.mark(connection, self._collection)
            return ids

        ids = self._transactions.repeated(work)
        self._erase()
        return len(ids)

    def identities(self) -> list[IdentitySummary]:
        """Who is enrolled, by name."""
        with self._reading() as connection:
            return identities.summaries(connection, self._collection, self._rows)

    def templates(self, name: str) -> list[Template]:
        """The templates of one identity, oldest first.

        Raises:
            NotEnrolledError: there is no such identity.
        """
        with self._reading() as connection:
            owner = self._identity(connection, name)
            return shown(connection, self._collection, owner, self._rows)

    def whole_templates(self, name: str) -> list[NewTemplate]:
        """The sound templates of one identity; see `mfr.gallery.store.Store.whole_templates`."""
        with self._reading() as connection:
            owner = self._identity(connection, name)
            found = whole_rows(connection, self._collection, owner, self._rows)
            return [template for _, template in found]

    def embeddings(self, name: str) -> np.ndarray:
        """The embeddings of one identity, (n, D) float32, oldest first, n >= 1.

        Raises:
            NotEnrolledError: there is no such identity.
            GalleryDamagedError: all of them are damaged.
        """
        with self._reading() as connection:
            rows = rows_of(connection, self._identity(connection, name))
        embeddings, sound, _ = self._rows.decoded(rows, self.embedding_size)
        if not sound.any():
            first = DamagedTemplate(rows[0][0], name).sentence() if rows else ""
            raise GalleryDamagedError(f"All templates of '{name}' are damaged. {first}")
        return embeddings[sound]

    def owners_of_photos(self, digests: Sequence[str]) -> dict[str, list[str]]:
        """Under which names photos are enrolled, by the photos' SHA-256; others are left out."""
        with self._reading() as connection:
            return identities.owners_of_photos(connection, self._collection, digests, self._rows)

    def snapshot(self) -> Snapshot:
        """All templates, read in one transaction."""
        with self._transactions.reading() as connection:
            stamp = self._known(change_log.state(connection, self._collection.id)).stamp
            return Snapshot(stamp, read_vectors(connection, self._collection, self._rows, after=0))

    def changes(self, since: str) -> Changes | None:
        """What has changed since the state ``since``; see `mfr.gallery.store.Store.changes`."""
        with self._transactions.reading() as connection:
            found = change_log.difference(connection, self._collection.id, since)
            stamp = self._known(change_log.state(connection, self._collection.id)).stamp
            if found is None:
                return None
            added = read_vectors(connection, self._collection, self._rows, after=found.last_id)
        return Changes(stamp, added, np.array(found.removed, dtype=np.int64))

    def has_removed(self, since: str) -> bool:
        """Whether a copy of the state ``since`` may hold templates that are no longer enrolled."""
        with self._transactions.reading() as connection:
            found = change_log.difference(connection, self._collection.id, since)
        return found is None or bool(found.removed)

    def own_index(self) -> DatabaseIndex | None:
        """The index in the database, if there is one and there are `coarse.WORTH_IT` templates."""
        return database_index.find(self._transactions, self._collection)

    def make_index(self) -> None:
        """Make the index in the database, for which searches need no copy of the templates.

        Raises:
            GalleryError: the server has no pgvector.
            WriteError: the role does not own the tables.
        """
        database_index.make(self._transactions, self._address, self._collection)

    def encrypt(self, master: bytes) -> None:
        """Encrypt everything; see `mfr.gallery.encrypting.EncryptableStore`.

        Raises:
            WriteError: the role does not own the tables.
        """
        insist_on_plain(self.is_encrypted, self._address.text)

        def work(connection: psycopg.Connection[Any]) -> tuple[str, Rows]:
            before = self._known(change_log.locked_state(connection, self._collection.id))
            rows = encryption.encrypt(connection, self._collection, master)
            change_log.advance(connection, self._collection.id, before)
            erasure.mark(connection, self._collection)
            key = rows.chain_key
            audit_log.append(
                connection, self._collection, now(), self.actor, "encrypted", None, {}, key
            )
            after = self._existing(change_log.state(connection, self._collection.id))
            return after.encryption, rows

        self._encryption, self._rows = self._transactions.repeated(work)
        self._make_anew(*erasure.TABLES, "mfr.coarse", "mfr.collections")

    def change_key(self, old: bytes, new: bytes) -> None:
        """Wrap the data key anew; see `mfr.gallery.encrypting.EncryptableStore`.

        Raises:
            WriteError: the role is not mfr_admin.
        """

        def work(connection: psycopg.Connection[Any]) -> None:
            self._known(change_log.locked_state(connection, self._collection.id))
            where = self._address.text
            envelopes.change_key(connection, self._collection.id, old, new, where)
            self._log(connection, "key changed", None, {"key": key_name(new)})

        self._transactions.repeated(work)
        self._make_anew("mfr.collections")

    def remarks(self) -> list[str]:
        """What a user should know of the database's state, a sentence each."""
        with self._transactions.connected() as connection:
            pending = erasure.is_pending(connection, self._collection)
            fsync = connection.execute("SHOW fsync").fetchone()
        remarks = [_NOT_ERASED.format(self._address.text)] if pending else []
        if fsync is not None and fsync[0] == "off":
            remarks.append(_NO_FSYNC.format(self._address.text))
        return remarks + remarks_on_key(self.is_encrypted, self._address.text)

    def check_integrity(self) -> None:
        """Check the tables against one another, and vacuum what earlier removals left.

        Raises:
            GalleryDamagedError: they contradict themselves.
        """
        with self._reading() as connection:
            collection.check(connection, self._address, self._collection)
            kept = crops_of(connection, self._collection, None, self._rows)
            crops = [number for number, crop in kept if crop is None]
        for number in crops:
            warnings.warn(_DAMAGED_CROP.format(number), GalleryWarning, stacklevel=3)
        self._erase()

    def _insert(
        self,
        connection: psycopg.Connection[Any],
        people: Iterable[tuple[str, Sequence[NewTemplate]]],
    ) -> list[int | None]:
        before = self._known(change_log.locked_state(connection, self._collection.id))
        ids: list[int | None] = []
        added = 0
        for piece in pieces(people):
            new = insert(
                connection,
                self._collection,
                piece,
                after=before.last_id + added,
                now=now(),
                indexed=before.indexed,
                rows=self._rows,
            )
            added += sum(each is not None for each in new)
            ids += new
        if added:
            change_log.advance(connection, self._collection.id, before, added=added)
        return ids

    def _make_anew(self, *tables: str) -> None:
        """Leave nothing of former rows in the files of tables, or say that something may be."""
        done = False
        with (
            contextlib.suppress(GalleryError, WriteError),
            self._transactions.connected() as connection,
        ):
            done = erasure.make_anew(connection, tables)
        self._erase()
        if self._erasing or not done:
            warnings.warn(_NOT_ANEW.format(self._address.text), GalleryWarning, stacklevel=4)

    def _learn_sizes(self) -> None:
        """Let PostgreSQL count the tables now; by itself it does so a minute later."""
        with (
            contextlib.suppress(GalleryError, WriteError),
            self._transactions.connected() as connection,
        ):
            connection.execute("ANALYZE mfr.identities, mfr.templates, mfr.crops")
