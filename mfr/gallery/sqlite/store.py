"""The truth of a gallery in one SQLite file: identities, their templates, and of which model."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from mfr.errors import GalleryDamagedError, GalleryWarning, NotEnrolledError
from mfr.gallery.encryption_state import insist_on_plain, remarks_on_key
from mfr.gallery.records import (
    Changes,
    DamagedTemplate,
    EnrolledVectors,
    IdentitySummary,
    NewTemplate,
    Snapshot,
    Template,
    check_embeddings,
)
from mfr.gallery.sqlite import (
    audit_log,
    backup,
    change_log,
    encryption,
    erasure,
    files,
    people,
    schema,
)
from mfr.gallery.sqlite.details import DetailsInFile
from mfr.gallery.sqlite.errors import damaged
from mfr.gallery.sqlite.in_use import SENTENCE
from mfr.gallery.sqlite.rows import sealed
from mfr.gallery.sqlite.templates import crops_of, insert, read_vectors, rows_of, shown, whole
from mfr.gallery.store import BUSY_SECONDS, Location, directory_of
from mfr.sealing.envelope import key_name
from mfr.sealing.master_key import master_key

_DAMAGED_CROP: Final = (
    "The crop that is kept of template {} is damaged and will not be used: remove the template and "
    "enroll the photo again, or restore the gallery from a backup."
)


class SqliteStore(DetailsInFile):
    """A store in the file ``gallery.sqlite`` of a directory; see `mfr.gallery.store.Store`."""

    @classmethod
    def open(cls, location: Location, *, busy_seconds: float = BUSY_SECONDS) -> SqliteStore:
        """Open the store in a directory. Errors as `mfr.gallery.store.open_store`."""
        return cls(_directory(location), busy_seconds=busy_seconds)

    @classmethod
    def create(
        cls,
        location: Location,
        *,
        model_hash: str,
        embedding_size: int,
        busy_seconds: float = BUSY_SECONDS,
        plain: bool = False,
    ) -> SqliteStore:
        """Make an empty store and open it. Errors as `mfr.gallery.store.create_store`."""
        directory = _directory(location)
        master = None if plain else master_key()

        def make(path: Path) -> None:
            schema.write_empty(path, model_hash=model_hash, embedding_size=embedding_size)
            if master is not None:
                encryption.begin_in_file(path, master)

        files.create_directory(directory, make)
        return cls(directory, busy_seconds=busy_seconds)

    @classmethod
    def occupied(cls, location: Location) -> bool:
        """Whether something other than an empty directory is at ``location``."""
        return files.occupied(_directory(location))

    def back_up(self, out: Path) -> None:
        """Write a copy of the present state, whole, as a gallery at ``out``.

        Raises:
            GalleryExistsError: something is there, other than an empty directory.
            GalleryDamagedError: the file is damaged; no copy is made.
            WriteError: the disk is full or the location cannot be written.
        """

        def copy(path: Path) -> None:
            with self._file.reading() as connection:
                problem = backup.copy_file(connection, path)
            if problem:
                raise damaged(self.path)

        files.create_directory(out, copy)

    def close(self) -> None:
        """Close the file; the last one to close folds the write-ahead log into it."""
        self._file.close()

    def add(self, name: str, templates: Sequence[NewTemplate]) -> list[int | None]:
        """Store templates under ``name``; see `mfr.gallery.store.Store.add`."""
        _check(templates, self.embedding_size)
        with self._file.writing() as connection:
            ids = self._insert(connection, name, templates)
            new = [number for number in ids if number is not None]
            if new:
                change_log.advance(connection)
                self._log(connection, "enrolled", name, {"templates": new})
        return ids

    def add_many(self, people: Iterable[tuple[str, Sequence[NewTemplate]]]) -> int:
        """Store the templates of many identities; see `mfr.gallery.store.Store.add_many`."""
        size = self.embedding_size
        new: list[int] = []
        with self._file.writing() as connection:
            for name, templates in people:
                _check(templates, size)
                ids = self._insert(connection, name, templates)
                new += [number for number in ids if number is not None]
            if new:
                change_log.advance(connection)
                facts = {"count": len(new), "first_template": new[0], "last_template": new[-1]}
                self._log(connection, "enrolled many", None, facts)
        return len(new)

    def remove(self, name: str, template_id: int | None = None) -> int:
        """Remove an identity or one of its templates; see `mfr.gallery.store.Store.remove`."""
        with self._file.writing() as connection:
            owner = self._person(connection, name)
            ids = [
                row[0]
                for row in connection.execute(
                    "SELECT id FROM templates WHERE identity_id = ?", (owner,)
                )
                if template_id in (None, row[0])
            ]
            if template_id is not None and not ids:
                raise NotEnrolledError(
                    f"'{name}' has no template {template_id}: "
                    f"'mfr gallery show {self.directory} {name}' lists those it has."
                )
            self._log(connection, "removed", name, {"templates": ids})
            people.touch(connection, owner, schema.now())
            connection.executemany(
                "DELETE FROM templates WHERE id = ?", [(number,) for number in ids]
            )
            people.leave(connection, owner)
            change_log.advance(connection, removed=ids)
            erasure.mark(connection)
        self._file.finish_erasure(patient=True)
        return len(ids)

    def identities(self) -> list[IdentitySummary]:
        """Who is enrolled, by name."""
        rows = self._rows
        with self._file.reading() as connection:
            found = connection.execute(
                f"SELECT identities.id, name, {rows.label}, COUNT(*), MIN(templates.enrolled), "
                "MAX(templates.enrolled) FROM identities "
                "JOIN templates ON templates.identity_id = identities.id GROUP BY identities.id"
            ).fetchall()
        named = [IdentitySummary(rows.content.name_of(*each[:3]), *each[3:]) for each in found]
        return sorted(named, key=lambda each: each.identity)

    def templates(self, name: str) -> list[Template]:
        """The templates of one identity, oldest first.

        Raises:
            NotEnrolledError: there is no such identity.
        """
        size = self.embedding_size
        with self._file.reading() as connection:
            return shown(connection, self._person(connection, name), size, self._rows)

    def whole_templates(self, name: str) -> list[NewTemplate]:
        """The sound templates of one identity; see `mfr.gallery.store.Store.whole_templates`."""
        size = self.embedding_size
        with self._file.reading() as connection:
            return whole(connection, self._person(connection, name), size, self._rows)

    def embeddings(self, name: str) -> np.ndarray:
        """The embeddings of one identity, (n, D) float32, oldest first, n >= 1.

        Raises:
            NotEnrolledError: there is no such identity.
            GalleryDamagedError: all of them are damaged.
        """
        size = self.embedding_size
        with self._file.reading() as connection:
            found = rows_of(connection, self._person(connection, name), self._rows)
        embeddings, sound, _ = self._rows.content.decoded(found, size)
        if not found:
            raise damaged(self.path)
        if not sound.any():
            first = DamagedTemplate(found[0][0], name).sentence()
            raise GalleryDamagedError(f"All templates of '{name}' are damaged. {first}")
        return embeddings[sound]

    def owners_of_photos(self, digests: Sequence[str]) -> dict[str, list[str]]:
        """Under which names photos are enrolled, by the photos' SHA-256; others are left out."""
        owners: dict[str, list[str]] = {}
        rows = self._rows
        with self._file.reading() as connection:
            for digest in digests:
                found = connection.execute(
                    f"SELECT identities.id, name, {rows.label} FROM templates "
                    "JOIN identities ON identities.id = identity_id WHERE photo_sha256 = ?",
                    (rows.content.key("photo", digest),),
                ).fetchall()
                if found:
                    owners[digest] = sorted(rows.content.name_of(*each) for each in found)
        return owners

    def snapshot(self) -> Snapshot:
        """All templates, read in one transaction."""
        with self._file.reading() as connection:
            return Snapshot(self.stamp, self._read(connection, after=0))

    def changes(self, since: str) -> Changes | None:
        """What has changed since the state ``since``; see `mfr.gallery.store.Store.changes`."""
        with self._file.reading() as connection:
            stamp = self.stamp
            if since == stamp:
                last = connection.execute("SELECT MAX(id) FROM templates").fetchone()[0] or 0
                found: change_log.Difference | None = change_log.Difference(last, [])
            elif self._file.version < 2:
                found = None
            else:
                found = change_log.difference(connection, since)
            if found is None:
                return None
            added = self._read(connection, after=found.last_id)
        return Changes(stamp, added, np.array(found.removed, dtype=np.int64))

    def has_removed(self, since: str) -> bool:
        """Whether a copy of the state ``since`` may hold templates that are no longer enrolled."""
        with self._file.reading() as connection:
            if since == self.stamp:
                return False
            found = change_log.difference(connection, since) if self._file.version >= 2 else None
        return found is None or bool(found.removed)

    def encrypt(self, master: bytes) -> None:
        """Encrypt everything; see `mfr.gallery.encrypting.EncryptableStore`."""
        insist_on_plain(self.is_encrypted, self.directory)
        with self._file.writing() as connection:
            seal = encryption.encrypt(connection, master, self._file.version, self.embedding_size)
            change_log.advance(connection)
            erasure.mark(connection)
            now = schema.now()
            audit_log.append(connection, now, self.actor, "encrypted", None, {}, seal.chain_key)
            number = schema.encryption_of(connection)
        self._file.encryption, self._sealed = number, sealed(seal)
        self._file.finish_erasure(patient=True, any_size=True)

    def change_key(self, old: bytes, new: bytes) -> None:
        """Wrap the data key anew; see `mfr.gallery.encrypting.EncryptableStore`."""
        with self._file.writing() as connection:
            encryption.change_key(connection, old, new, self.directory)
            self._log(connection, "key changed", None, {"key": key_name(new)})
            erasure.mark(connection)  # the former wrapping
        self._file.finish_erasure(patient=True, any_size=True)

    def remarks(self) -> list[str]:
        """What a user should know of the file's state, a sentence each."""
        found = [SENTENCE.format(self.directory)] if self._file.lacks_changes else []
        return found + remarks_on_key(self.is_encrypted, self.directory)

    def check_integrity(self) -> None:
        """Check the file's structure, and erase what earlier removals could not.

        Raises:
            GalleryDamagedError: it is damaged.
        """
        with self._file.reading() as connection:
            problems = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
            orphans = connection.execute("PRAGMA foreign_key_check").fetchone()
            crops = [
                number for number, crop in crops_of(connection, None, self._rows) if crop is None
            ]
        if problems != ["ok"] or orphans is not None:
            raise damaged(self.path)
        for number in crops:
            warnings.warn(_DAMAGED_CROP.format(number), GalleryWarning, stacklevel=3)
        if os.access(self.path, os.W_OK):
            self._file.take_for_complete()
            self._file.finish_erasure(patient=True, any_size=True)

    def _insert(
        self, connection: sqlite3.Connection, name: str, templates: Sequence[NewTemplate]
    ) -> list[int | None]:
        if not templates:
            return []
        now, rows = schema.now(), self._rows
        person = people.enter(connection, name, now, rows)
        return insert(connection, person, name, templates, now, rows)

    def _read(self, connection: sqlite3.Connection, *, after: int) -> EnrolledVectors:
        found = read_vectors(connection, self.embedding_size, self._rows, after=after)
        if found is None:
            raise damaged(self.path)
        return found


def _directory(location: Location) -> Path:
    directory = directory_of(location)
    assert directory is not None, f"{location} is no directory"
    return directory


def _check(templates: Sequence[NewTemplate], size: int) -> None:
    for template in templates:
        check_embeddings(np.asarray(template.embedding)[None], size)
