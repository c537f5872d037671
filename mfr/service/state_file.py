"""The file in which the service keeps what is its own: keys, quotas, replies, jobs."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mfr import atomic
from mfr.errors import GalleryError, WriteError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, scopes TEXT NOT NULL,
    collections TEXT NOT NULL, rate REAL NOT NULL, quota INTEGER NOT NULL,
    created TEXT NOT NULL, revoked TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS usage (
    key TEXT NOT NULL, day TEXT NOT NULL, photos INTEGER NOT NULL, PRIMARY KEY (key, day)
);
CREATE TABLE IF NOT EXISTS replies (
    caller TEXT NOT NULL, name TEXT NOT NULL, request TEXT NOT NULL, begun REAL NOT NULL,
    status INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL DEFAULT x'', PRIMARY KEY (caller, name)
);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, collection TEXT NOT NULL, caller TEXT NOT NULL, state TEXT NOT NULL,
    choices TEXT NOT NULL, created TEXT NOT NULL, changed TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS job_photos (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, number INTEGER NOT NULL,
    identity TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting',
    face INTEGER, reason TEXT NOT NULL DEFAULT '', code TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, number)
);
"""
_BUSY_SECONDS: Final = 10.0


class StateFile:
    """A SQLite file that only its owner can read. Threads and processes may share it.

    Args:
        folder: where it lies; made if need be.

    Raises:
        WriteError: it cannot be made.
        GalleryError: it is no such file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "service.sqlite"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
        except OSError as error:
            raise atomic.write_error(path, error) from error
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None
        )
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise GalleryError(
                f"{path} is not what a service keeps ({error}): choose another --state."
            ) from error

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes, alone among all processes.

        Raises:
            WriteError: the disk is full, or another process held the file for too long.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise WriteError(
                    f"What the service keeps in {self.folder} cannot be written ({error}): make "
                    "room, or try again."
                ) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def rows(self, question: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a SELECT gives."""
        with self._lock:
            return self._connection.execute(question, values).fetchall()

    def secret(self, name: str) -> bytes:
        """32 random bytes under ``name``, the same ever after and for all processes."""
        with self.changing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, secrets.token_hex(32))
            )
            found = connection.execute("SELECT value FROM facts WHERE name = ?", (name,))
            return bytes.fromhex(found.fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
