"""The truth of a gallery: one SQLite file with who is enrolled, by which templates, of which model.

This module knows SQL and nothing of faces or FAISS. The file is in WAL mode, so readers never wait
for the one writer, and ``synchronous=FULL``, so a committed transaction outlives a crash.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np

from mfr import atomic
from mfr.errors import GalleryError, WriteError

FILE_NAME: Final = "gallery.sqlite"
VERSION: Final = 1
APPLICATION_ID: Final = 0x4D465247  # "MFRG" in the file's header tells our files from others.
BUSY_SECONDS: Final = 10.0
"""How long a writer waits for another one before it gives up."""

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE identities (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    enrolled TEXT NOT NULL
);
-- AUTOINCREMENT: the id of a removed template is never given to another.
CREATE TABLE templates (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identity_id INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    embedding BLOB NOT NULL,
    quality TEXT NOT NULL,
    source TEXT NOT NULL,
    photo_sha256 TEXT NOT NULL,
    enrolled TEXT NOT NULL,
    UNIQUE (identity_id, photo_sha256)
);
"""


@dataclass(frozen=True)
class ModelSource:
    """Where the model of a gallery was found last: a hint, never trusted without its hash.

    Attributes:
        model: the absolute path of a model file, or the name of a pretrained model.
        backbone: the network's name when the file is a foreign checkpoint.
    """

    model: str
    backbone: str | None = None


@dataclass(frozen=True)
class NewTemplate:
    """A template about to be stored: ``embedding`` (D,) float32, unit length."""

    embedding: np.ndarray
    photo_sha256: str
    source: str = ""
    quality: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Template:
    """A stored template, without its embedding. ``enrolled`` is UTC, ISO 8601."""

    id: int
    source: str
    photo_sha256: str
    enrolled: str
    quality: Mapping[str, float]


@dataclass(frozen=True)
class IdentitySummary:
    """One line of the list of who is enrolled. Dates are UTC, ISO 8601."""

    identity: str
    templates: int
    first_enrolled: str
    last_enrolled: str


@dataclass(frozen=True)
class Snapshot:
    """All templates at one moment, in the order of their ids.

    Attributes:
        stamp: names this state of the store; no other state has the same.
        ids: (N,) int64 template ids.
        owners: the identity of each template, N names.
        embeddings: (N, D) float32, unit length.
    """

    stamp: str
    ids: np.ndarray
    owners: list[str]
    embeddings: np.ndarray


class TemplateStore:
    """An open gallery file. Threads may share one; processes open their own.

    Every method raises GalleryError when the file is damaged or stays locked by another writer for
    longer than ``busy_seconds``; writing ones raise WriteError when the disk is full or read-only.
    """

    def __init__(self, directory: str | Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        """Open the store in ``directory``.

        Raises:
            GalleryError: there is none, or it is foreign, damaged or of a newer format.
        """
        self.directory = Path(directory)
        self.path = self.directory / FILE_NAME
        self._lock = threading.RLock()
        try:
            found = self.path.is_file()
        except PermissionError as error:
            raise self._unreadable() from error
        if not found:
            raise GalleryError(
                f"{self.directory} is not a gallery (it has no {FILE_NAME}): check the path, or "
                f"make one with 'mfr enroll {self.directory} NAME PHOTO --model MODEL'."
            )
        if not os.access(self.path, os.R_OK):
            raise self._unreadable()
        self._connection = self._connect(busy_seconds)
        try:
            self._check_format()
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(
        cls,
        directory: str | Path,
        *,
        model_hash: str,
        embedding_size: int,
        busy_seconds: float = BUSY_SECONDS,
    ) -> TemplateStore:
        """Make an empty store; it appears whole, by one rename of a finished directory.

        Raises:
            GalleryError: ``directory`` is a file, or a directory that is not empty.
            WriteError: the disk is full or the place not writable.
        """
        directory = Path(directory)
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise GalleryError(
                f"{directory} exists and is not an empty directory: "
                "choose another place for the gallery."
            )
        staging: Path | None = None
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(
                tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".tmp", dir=directory.parent)
            )
            _write_empty(staging / FILE_NAME, model_hash, embedding_size)
            # The directory stays private to its maker (0700): templates are biometric data.
            staging.replace(directory)
            atomic.sync_directory(directory.parent)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise GalleryError(
                    f"{directory} was made by another program just now: run the command again."
                ) from error
            raise atomic.write_error(directory, error) from error
        except sqlite3.Error as error:
            raise WriteError(
                f"Cannot write {directory / FILE_NAME} ({error}): free some space or choose "
                "another place."
            ) from error
        finally:
            if staging is not None:
                shutil.rmtree(staging, ignore_errors=True)
        return cls(directory, busy_seconds=busy_seconds)

    def close(self) -> None:
        """Let go of the file; the last one to close folds the write-ahead log into it."""
        with self._lock, self._translated():
            self._connection.close()

    @property
    def model_hash(self) -> str:
        """Of the model all templates were made with."""
        return self._meta("model_hash")

    @property
    def embedding_size(self) -> int:
        """D, the length of every embedding."""
        value = self._meta("embedding_size")
        if not value.isdecimal() or int(value) < 1:
            raise self._damaged()
        return int(value)

    @property
    def stamp(self) -> str:
        """Names the present state: a counter, and a token no other change has.

        The token tells a store restored from a backup and then changed again from the one whose
        counter it repeats.
        """
        return self._meta("stamp")

    def model_source(self) -> ModelSource | None:
        """Where the model was found last, if anyone said."""
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'model_source'").fetchone()
        if row is None:
            return None
        value = self._json(row[0])
        return ModelSource(value["model"], value["backbone"])

    def remember_model(self, source: ModelSource) -> None:
        """Remember where the model was found."""
        if self.model_source() == source:
            return
        value = json.dumps({"model": source.model, "backbone": source.backbone})
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO meta VALUES ('model_source', ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (value,),
            )

    def add(self, name: str, templates: Sequence[NewTemplate]) -> list[int | None]:
        """Store ``templates`` under ``name`` in one transaction; the identity is made if new.

        Returns:
            For each template its new id, or None where ``name`` has that photo already.

        Raises:
            GalleryError: an embedding is not (D,), finite and of unit length.
        """
        size = self.embedding_size
        for template in templates:
            check_embedding(template.embedding, size)
        now = _now()
        ids: list[int | None] = []
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO identities (name, enrolled) VALUES (?, ?)", (name, now)
            )
            owner = connection.execute(
                "SELECT id FROM identities WHERE name = ?", (name,)
            ).fetchone()[0]
            for template in templates:
                cursor = connection.execute(
                    "INSERT OR IGNORE INTO templates "
                    "(identity_id, embedding, quality, source, photo_sha256, enrolled) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        owner,
                        np.ascontiguousarray(template.embedding, dtype="<f4").tobytes(),
                        json.dumps(dict(template.quality), sort_keys=True),
                        template.source,
                        template.photo_sha256,
                        now,
                    ),
                )
                ids.append(cursor.lastrowid if cursor.rowcount else None)
            if any(new is not None for new in ids):
                _advance(connection)
        return ids

    def remove(self, name: str, template_id: int | None = None) -> int:
        """Remove an identity, or one of its templates; the last template takes the identity along.

        Returns:
            How many templates went.

        Raises:
            GalleryError: no such identity, or it has no such template.
        """
        with self._writing() as connection:
            owner = self._identity(connection, name)
            if template_id is None:
                removed = connection.execute(
                    "DELETE FROM templates WHERE identity_id = ?", (owner,)
                ).rowcount
            else:
                removed = connection.execute(
                    "DELETE FROM templates WHERE identity_id = ? AND id = ?", (owner, template_id)
                ).rowcount
                if not removed:
                    raise GalleryError(
                        f"'{name}' has no template {template_id}: "
                        f"'mfr gallery show {self.directory} {name}' lists those it has."
                    )
            connection.execute(
                "DELETE FROM identities WHERE id = ? "
                "AND NOT EXISTS (SELECT 1 FROM templates WHERE identity_id = identities.id)",
                (owner,),
            )
            _advance(connection)
        return removed

    def identities(self) -> list[IdentitySummary]:
        """Who is enrolled, by name."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT name, COUNT(*), MIN(templates.enrolled), MAX(templates.enrolled) "
                "FROM identities JOIN templates ON templates.identity_id = identities.id "
                "GROUP BY identities.id ORDER BY name"
            ).fetchall()
        return [IdentitySummary(*row) for row in rows]

    def templates(self, name: str) -> list[Template]:
        """The templates of one identity, oldest first.

        Raises:
            GalleryError: no such identity.
        """
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, source, photo_sha256, enrolled, quality FROM templates "
                "WHERE identity_id = ? ORDER BY id",
                (self._identity(connection, name),),
            ).fetchall()
        return [
            Template(number, source, digest, enrolled, self._json(quality))
            for number, source, digest, enrolled, quality in rows
        ]

    def embeddings(self, name: str) -> np.ndarray:
        """The embeddings of one identity, (n, D) float32, oldest first, n >= 1.

        Raises:
            GalleryError: no such identity.
        """
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, embedding FROM templates WHERE identity_id = ? ORDER BY id",
                (self._identity(connection, name),),
            ).fetchall()
        return self._decode(rows)

    def snapshot(self) -> Snapshot:
        """All templates, read in one transaction."""
        with self._reading() as connection:
            stamp = self.stamp
            rows = connection.execute(
                "SELECT templates.id, embedding, name FROM templates "
                "JOIN identities ON identities.id = identity_id ORDER BY templates.id"
            ).fetchall()
        ids = np.array([row[0] for row in rows], dtype=np.int64)
        return Snapshot(stamp, ids, [row[2] for row in rows], self._decode(rows))

    def owners(self) -> tuple[str, dict[int, str]]:
        """The stamp, and the identity of every template id, read in one transaction."""
        with self._reading() as connection:
            stamp = self.stamp
            rows = connection.execute(
                "SELECT templates.id, name FROM templates "
                "JOIN identities ON identities.id = identity_id"
            ).fetchall()
        return stamp, dict(rows)

    def check_integrity(self) -> None:
        """Read the whole file and check it against itself.

        Raises:
            GalleryError: it is damaged.
        """
        with self._reading() as connection:
            problems = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
            orphans = connection.execute("PRAGMA foreign_key_check").fetchone()
        if problems != ["ok"] or orphans is not None:
            raise self._damaged()

    def _connect(self, busy_seconds: float) -> sqlite3.Connection:
        """Open for writing where that is allowed, else for reading.

        SQLite needs to write a lock file even to read a WAL database. On a read-only disk that
        cannot be; with no log left to read, nobody is writing, and the file may be read as is.
        """
        address = self.path.absolute().as_uri()
        modes = ["mode=rw", "mode=ro"]
        if not os.access(self.directory, os.W_OK) and not self._has_log():
            modes.append("mode=ro&immutable=1")
        problem: sqlite3.Error | None = None
        for mode in modes:
            connection = sqlite3.connect(
                f"{address}?{mode}",
                uri=True,
                timeout=busy_seconds,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
                return connection
            except sqlite3.OperationalError as error:
                connection.close()
                problem = error
            except sqlite3.Error as error:
                connection.close()
                problem = error
                break
        with self._translated():
            assert problem is not None
            raise problem

    def _has_log(self) -> bool:
        log = self.path.with_name(f"{FILE_NAME}-wal")
        return log.exists() and log.stat().st_size > 0

    def _check_format(self) -> None:
        with self._reading() as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise GalleryError(
                f"{self.path} is not a gallery of this program: check the path, or choose "
                "another place for the gallery."
            )
        if version != VERSION:
            raise GalleryError(
                f"{self.path} is of gallery format {version}, this program knows {VERSION}: "
                "install the mfr that wrote it."
            )

    def _meta(self, key: str) -> str:
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise self._damaged()
        return str(row[0])

    def _identity(self, connection: sqlite3.Connection, name: str) -> int:
        row = connection.execute("SELECT id FROM identities WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise GalleryError(
                f"'{name}' is not enrolled in {self.directory}: "
                f"'mfr gallery list {self.directory}' says who is."
            )
        return int(row[0])

    def _decode(self, rows: Sequence[Any]) -> np.ndarray:
        """Embeddings from rows that start with (id, blob): (n, D) float32.

        Raises:
            GalleryError: a template is not what was stored.
        """
        size = self.embedding_size
        for row in rows:
            if not isinstance(row[1], bytes) or len(row[1]) != 4 * size:
                raise self._spoilt_template(row[0])
        data = b"".join(row[1] for row in rows)
        embeddings = np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(len(rows), size)
        spoilt = np.flatnonzero(~_unit_length(embeddings))
        if len(spoilt):
            raise self._spoilt_template(rows[spoilt[0]][0])
        return embeddings

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file; nests inside another transaction."""
        with self._lock, self._translated():
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed on a clean exit, undone on any exception."""
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                # Some errors, a full disk among them, have undone the transaction already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Tell SQLite's errors as sentences (by message: Python 3.10 has no error codes)."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.Error as error:
            message = str(error)
            if "locked" in message or "busy" in message:
                raise GalleryError(
                    f"{self.path} is being written by another program: wait and try again."
                ) from error
            if "full" in message:
                raise WriteError(
                    f"No space left on the disk while writing {self.path}: free some space and run "
                    "the same command again; what was enrolled before is untouched."
                ) from error
            if "readonly" in message:
                raise WriteError(
                    f"Cannot write {self.path}: give yourself permission to write its directory."
                ) from error
            if "disk I/O" in message:
                raise GalleryError(
                    f"The disk failed while {self.path} was read or written: check the disk, then "
                    "run the same command again; what was enrolled before is untouched."
                ) from error
            if "unable to open" in message:
                raise self._unreadable() from error
            raise self._damaged() from error

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise self._damaged() from error

    def _unreadable(self) -> GalleryError:
        return GalleryError(f"{self.path} cannot be read: give yourself permission to read it.")

    def _damaged(self) -> GalleryError:
        return GalleryError(
            f"{self.path} is damaged or no gallery: restore it from a backup, or move it away and "
            "enroll again."
        )

    def _spoilt_template(self, template_id: int) -> GalleryError:
        return GalleryError(
            f"Template {template_id} in {self.path} is damaged: restore the file from a backup, or "
            "move it away and enroll again."
        )


def check_embedding(embedding: np.ndarray, size: int) -> None:
    """Check that an embedding is (size,), finite and of unit length (to 1e-3).

    Raises:
        GalleryError: it is not; such a template would spoil every search.
    """
    embedding = np.asarray(embedding)
    if embedding.shape != (size,):
        raise GalleryError(
            f"The model gave an embedding of shape {embedding.shape}, this gallery holds "
            f"({size},): use the model the gallery was made with."
        )
    if not _unit_length(embedding[None])[0]:
        raise GalleryError(
            "The model gave an embedding that is not finite and of unit length: use another model."
        )


def _unit_length(embeddings: np.ndarray) -> np.ndarray:
    """Which rows of (n, D) are finite and of unit length: (n,) bool."""
    norms = np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings, dtype=np.float64))
    return np.isfinite(norms) & (np.abs(norms - 1) < 1e-3)


def _write_empty(path: Path, model_hash: str, embedding_size: int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.executescript(_SCHEMA)
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("model_hash", model_hash),
                ("embedding_size", str(embedding_size)),
                ("created", _now()),
                ("stamp", f"0-{secrets.token_hex(8)}"),
            ],
        )
    finally:
        connection.close()


def _advance(connection: sqlite3.Connection) -> None:
    """Give the store a new stamp, within the transaction that changes it."""
    stamp = connection.execute("SELECT value FROM meta WHERE key = 'stamp'").fetchone()[0]
    generation = int(stamp.partition("-")[0]) + 1
    connection.execute(
        "UPDATE meta SET value = ? WHERE key = 'stamp'", (f"{generation}-{secrets.token_hex(8)}",)
    )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
