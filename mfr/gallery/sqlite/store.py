"""The truth of a gallery in one SQLite file: identities, their templates, and of which model."""

from __future__ import annotations

import json
import os
import sqlite3
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from mfr.errors import GalleryDamagedError, GalleryWarning, NotEnrolledError
from mfr.gallery.records import (
    Changes,
    CropState,
    DamagedTemplate,
    EnrolledVectors,
    IdentitySummary,
    ModelSource,
    NewTemplate,
    Snapshot,
    Template,
    check_embeddings,
)
from mfr.gallery.sqlite import backup, change_log, checksums, erasure, files, schema
from mfr.gallery.sqlite.connection import Connection
from mfr.gallery.sqlite.errors import damaged
from mfr.gallery.sqlite.in_use import SENTENCE
from mfr.gallery.sqlite.templates import (
    crops_of,
    insert,
    numbers,
    read_vectors,
    rows_of,
    whole,
)
from mfr.gallery.store import BUSY_SECONDS, Location, directory_of

_DAMAGED_CROP: Final = (
    "The crop that is kept of template {} is damaged and will not be used: remove the template and "
    "enroll the photo again, or restore the gallery from a backup."
)


class SqliteStore:
    """A store in the file ``gallery.sqlite`` of a directory; see `mfr.gallery.store.Store`."""

    def __init__(self, directory: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.directory = directory
        self.path = files.find_file(directory)
        self._file = Connection(self.path, busy_seconds)

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
    ) -> SqliteStore:
        """Make an empty store and open it. Errors as `mfr.gallery.store.create_store`."""
        directory = _directory(location)
        make = partial(schema.write_empty, model_hash=model_hash, embedding_size=embedding_size)
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

    @property
    def model_hash(self) -> str:
        """The hash of the model that all templates were made with."""
        return self._meta("model_hash")

    @property
    def embedding_size(self) -> int:
        """D, the length of every embedding."""
        value = self._meta("embedding_size")
        if not value.isdecimal() or int(value) < 1:
            raise damaged(self.path)
        return int(value)

    @property
    def stamp(self) -> str:
        """Names the present state: a counter, and a token that no other change has."""
        return self._meta("stamp")

    @property
    def secret(self) -> str:
        """Something random that only those who may read the file know; empty in older formats."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'secret'").fetchone()
        return "" if row is None else str(row[0])

    def model_source(self) -> ModelSource | None:
        """Where the model was last found, if anyone said."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'model_source'").fetchone()
        if row is None:
            return None
        value = self._json(row[0])
        detector = value.get("detector", ModelSource.detector)  # older galleries name none
        return ModelSource(value["model"], value["backbone"], detector)

    def remember_model(self, source: ModelSource) -> None:
        """Remember where the model was found."""
        if self.model_source() == source:
            return
        value = json.dumps(asdict(source))
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO meta VALUES ('model_source', ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (value,),
            )

    def note(self, name: str) -> str | None:
        """The text that is kept under ``name``, if any."""
        with self._file.reading() as connection:
            row = connection.execute(
                "SELECT value FROM meta WHERE key = ?", (f"note {name}",)
            ).fetchone()
        return None if row is None else str(row[0])

    def put_note(self, name: str, text: str) -> None:
        """Keep a short text under ``name``, in place of another."""
        with self._file.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note {name}", text))

    def add(self, name: str, templates: Sequence[NewTemplate]) -> list[int | None]:
        """Store templates under ``name``; see `mfr.gallery.store.Store.add`."""
        size, now = self.embedding_size, schema.now()
        _check(templates, size)
        with self._file.writing() as connection:
            ids = insert(connection, name, templates, now)
            if any(new is not None for new in ids):
                change_log.advance(connection)
        return ids

    def add_many(self, people: Iterable[tuple[str, Sequence[NewTemplate]]]) -> int:
        """Store the templates of many identities; see `mfr.gallery.store.Store.add_many`."""
        size, now = self.embedding_size, schema.now()
        added = 0
        with self._file.writing() as connection:
            for name, templates in people:
                _check(templates, size)
                ids = insert(connection, name, templates, now)
                added += sum(new is not None for new in ids)
            if added:
                change_log.advance(connection)
        return added

    def remove(self, name: str, template_id: int | None = None) -> int:
        """Remove an identity or one of its templates; see `mfr.gallery.store.Store.remove`."""
        with self._file.writing() as connection:
            owner = self._identity(connection, name)
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
            connection.executemany(
                "DELETE FROM templates WHERE id = ?", [(number,) for number in ids]
            )
            connection.execute(
                "DELETE FROM identities WHERE id = ? "
                "AND NOT EXISTS (SELECT 1 FROM templates WHERE identity_id = identities.id)",
                (owner,),
            )
            change_log.advance(connection, removed=ids)
            erasure.mark(connection)
        self._file.finish_erasure(patient=True)
        return len(ids)

    def identities(self) -> list[IdentitySummary]:
        """Who is enrolled, by name."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT name, COUNT(*), MIN(templates.enrolled), MAX(templates.enrolled) "
                "FROM identities JOIN templates ON templates.identity_id = identities.id "
                "GROUP BY identities.id ORDER BY name"
            ).fetchall()
        return [IdentitySummary(*row) for row in rows]

    def templates(self, name: str) -> list[Template]:
        """The templates of one identity, oldest first.

        Raises:
            NotEnrolledError: there is no such identity.
        """
        size = self.embedding_size
        detector = "detector" if self._file.version >= 2 else "''"
        with self._file.reading() as connection:
            owner = self._identity(connection, name)
            rows = connection.execute(
                f"SELECT id, source, photo_sha256, enrolled, quality, {detector} FROM templates "
                "WHERE identity_id = ? ORDER BY id",
                (owner,),
            ).fetchall()
            version = self._file.version
            sound = checksums.decoded(rows_of(connection, owner, version), size)[1].tolist()
            crops: dict[int, CropState] = {
                number: "kept" if fine else "damaged"
                for number, _, fine in crops_of(connection, owner, version)
            }
        return [
            Template(
                number,
                source,
                digest,
                enrolled,
                numbers(quality),
                found_by,
                damaged=not fine,
                crop=crops.get(number, "none"),
            )
            for (number, source, digest, enrolled, quality, found_by), fine in zip(
                rows, sound, strict=True
            )
        ]

    def whole_templates(self, name: str) -> list[NewTemplate]:
        """The sound templates of one identity; see `mfr.gallery.store.Store.whole_templates`."""
        size = self.embedding_size
        with self._file.reading() as connection:
            return whole(connection, self._identity(connection, name), size, self._file.version)

    def embeddings(self, name: str) -> np.ndarray:
        """The embeddings of one identity, (n, D) float32, oldest first, n >= 1.

        Raises:
            NotEnrolledError: there is no such identity.
            GalleryDamagedError: all of them are damaged.
        """
        size = self.embedding_size
        with self._file.reading() as connection:
            rows = rows_of(connection, self._identity(connection, name), self._file.version)
        embeddings, sound = checksums.decoded(rows, size)
        if not rows:
            raise damaged(self.path)
        if not sound.any():
            first = DamagedTemplate(rows[0][0], name).sentence()
            raise GalleryDamagedError(f"All templates of '{name}' are damaged. {first}")
        return embeddings[sound]

    def owners_of_photos(self, digests: Sequence[str]) -> dict[str, list[str]]:
        """Under which names photos are enrolled, by the photos' SHA-256; others are left out."""
        owners: dict[str, list[str]] = {}
        with self._file.reading() as connection:
            for digest in digests:
                rows = connection.execute(
                    "SELECT name FROM templates JOIN identities ON identities.id = identity_id "
                    "WHERE photo_sha256 = ? ORDER BY name",
                    (digest,),
                ).fetchall()
                if rows:
                    owners[digest] = [row[0] for row in rows]
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

    def remarks(self) -> list[str]:
        """What a user should know of the file's state, a sentence each."""
        return [SENTENCE.format(self.directory)] if self._file.lacks_changes else []

    def check_integrity(self) -> None:
        """Check the file's structure, and erase what earlier removals could not.

        Raises:
            GalleryDamagedError: it is damaged.
        """
        with self._file.reading() as connection:
            problems = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
            orphans = connection.execute("PRAGMA foreign_key_check").fetchone()
            crops = [
                number
                for number, _, fine in crops_of(connection, None, self._file.version)
                if not fine
            ]
        if problems != ["ok"] or orphans is not None:
            raise damaged(self.path)
        for number in crops:
            warnings.warn(_DAMAGED_CROP.format(number), GalleryWarning, stacklevel=3)
        if os.access(self.path, os.W_OK):
            self._file.take_for_complete()
            self._file.finish_erasure(patient=True, any_size=True)

    def _meta(self, key: str) -> str:
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise damaged(self.path)
        return str(row[0])

    def _identity(self, connection: sqlite3.Connection, name: str) -> int:
        row = connection.execute("SELECT id FROM identities WHERE name = ?", (name,)).fetchone()
        if row is None and "\\x" in name:  # a damaged name, as it is shown
            every = connection.execute("SELECT id, name FROM identities")
            row = next((each for each in every if each[1] == name), None)
        if row is None:
            raise NotEnrolledError(
                f"'{name}' is not enrolled in {self.directory}: "
                f"'mfr gallery list {self.directory}' says who is."
            )
        return int(row[0])

    def _read(self, connection: sqlite3.Connection, *, after: int) -> EnrolledVectors:
        found = read_vectors(connection, self.embedding_size, self._file.version, after=after)
        if found is None:
            raise damaged(self.path)
        return found

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise damaged(self.path) from error


def _directory(location: Location) -> Path:
    directory = directory_of(location)
    assert directory is not None, f"{location} is no directory"
    return directory


def _check(templates: Sequence[NewTemplate], size: int) -> None:
    for template in templates:
        check_embeddings(np.asarray(template.embedding)[None], size)
