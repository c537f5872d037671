"""The file that holds a service's watches and what they saw. Only its owner can read it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from mfr import atomic, locking
from mfr.errors import ConfigError, WriteError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS watches (
    name TEXT PRIMARY KEY, settings TEXT NOT NULL,
    over INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, watch TEXT NOT NULL, event TEXT NOT NULL, picture BLOB
);
CREATE INDEX IF NOT EXISTS pictures ON events (number) WHERE picture IS NOT NULL;
"""


class WatchFile:
    """``watches.sqlite`` in a folder, of one process; its threads may share it. Close it.

    Args:
        folder: made if need be.

    Raises:
        ConfigError: another process has it open, or it is something else.
        WriteError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._path = path = folder / "watches.sqlite"
        with ExitStack() as stack:
            stack.enter_context(
                locking.refusing_others(folder / "watches.lock", "service", ConfigError)
            )
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                # SQLite's own files beside it get the same permissions.
                path.touch(mode=0o600)
                path.chmod(0o600)
            except OSError as error:
                raise atomic.write_error(path, error) from error
            self._lock = threading.Lock()
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            stack.callback(self._connection.close)
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                # An event is not lost either when the power fails.
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute("PRAGMA secure_delete = ON")
                self._connection.executescript(_SCHEMA)
            except sqlite3.DatabaseError as error:
                raise ConfigError(
                    f"{path} is not what a service keeps ({error}): name another folder."
                ) from error
            self._stack = stack.pop_all()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes.

        Raises:
            WriteError: the disk is full, or the file was closed.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
                raise WriteError(f"{self._path} cannot be written ({error}): make room.") from error
            finally:
                self._roll_back()

    def rows(self, question: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a SELECT gives.

        Raises:
            WriteError: the file was closed.
        """
        with self._lock:
            try:
                return self._connection.execute(question, values).fetchall()
            except sqlite3.ProgrammingError as error:
                raise WriteError(f"{self._path} was closed: start the service again.") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._stack.close()

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.ProgrammingError:  # it was closed
            pass
