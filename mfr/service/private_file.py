"""A SQLite file that only its owner can read, and out of which what is deleted is gone."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mfr import atomic
from mfr.errors import ConfigError, WriteError

_BUSY_SECONDS: Final = 10.0


class PrivateFile:
    """The file. Threads and processes may share it; close it.

    Args:
        path: made if need be, with its folder.
        schema: statements that make its tables where they are not there.

    Raises:
        WriteError: it cannot be made.
        ConfigError: it is something else.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite's own files beside it get the same permissions.
            path.touch(mode=0o600)
            path.chmod(0o600)
        except OSError as error:
            raise atomic.write_error(path, error) from error
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
        except sqlite3.OperationalError as error:
            raise self._not_ours(error) from error
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            # What was acknowledged is not lost either when the power fails.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(schema)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            if "full" in str(error):
                raise self._unwritten(error) from error
            raise self._not_ours(error) from error

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes, alone among all processes.

        Raises:
            WriteError: the disk is full, another process held the file for too long, or it was
                closed.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.IntegrityError:
                raise  # who asked knows what it means
            except sqlite3.DatabaseError as error:
                raise self._unwritten(error) from error
            finally:
                self._roll_back()

    def rows(self, question: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a SELECT gives.

        Raises:
            WriteError: the file was closed, or is damaged.
        """
        with self._lock:
            try:
                return self._connection.execute(question, values).fetchall()
            except sqlite3.ProgrammingError as error:
                raise WriteError(f"{self.path} was closed: start the service again.") from error
            except sqlite3.DatabaseError as error:
                raise self._unwritten(error) from error

    def drop_log(self) -> None:
        """Empty the log beside the file, so that what was deleted is not there either.

        Where another process reads just now, that is left to the next time.
        """
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _not_ours(self, error: sqlite3.Error) -> ConfigError:
        return ConfigError(
            f"{self.path} is not what a service keeps ({error}): restore it, or choose another "
            "--state."
        )

    def _unwritten(self, error: sqlite3.Error) -> WriteError:
        return WriteError(
            f"{self.path} cannot be used ({error}): make room, try again, or restore it."
        )

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.ProgrammingError:
            pass  # it was closed
