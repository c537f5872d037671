"""One connection to a gallery file, shared by threads: transactions, and errors as sentences."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from mfr.errors import GalleryBusyError, GalleryDamagedError, GalleryError, WriteError
from mfr.gallery.sqlite import schema
from mfr.gallery.sqlite.errors import translated, unreadable


class Connection:
    """An open gallery file of this format or an older one.

    The file is in WAL mode, so readers never wait for the one writer, and ``synchronous=FULL``, so
    a committed transaction outlives a crash. A file of an older format is upgraded where it can be
    written and stays readable where it cannot.

    Raises:
        GalleryError: the file cannot be read, is not a gallery's, is damaged or of a newer format.
    """

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self.path = path
        self._lock = threading.RLock()
        if not os.access(path, os.R_OK):
            raise unreadable(path)
        self._connection = self._connect(busy_seconds)
        try:
            self.version = self._check_format()
            # Reading goes on in the old format; writing tries again and says what is wrong.
            if self.version < schema.VERSION:
                with contextlib.suppress(GalleryBusyError, WriteError), self.writing():
                    pass
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file; the last connection to close folds the write-ahead log into it."""
        with self._lock, translated(self.path):
            self._connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file; nests inside another transaction."""
        with self._lock, translated(self.path):
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
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed on a clean exit, undone on any exception."""
        with self._lock, translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                if self.version < schema.VERSION:
                    schema.upgrade(self._connection)
                yield self._connection
                self._connection.execute("COMMIT")
                self.version = schema.VERSION
            finally:
                # Some errors, a full disk among them, have undone the transaction already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _connect(self, busy_seconds: float) -> sqlite3.Connection:
        """Open for writing where that is allowed, else for reading.

        SQLite needs to write a lock file even to read a WAL database, which a read-only disk does
        not allow; but when there is no log left to read, nobody is writing, and the file may be
        read as it is.
        """
        address = self.path.absolute().as_uri()
        modes = ["mode=rw", "mode=ro"]
        if not os.access(self.path.parent, os.W_OK) and not self._has_log():
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
        with translated(self.path):
            assert problem is not None
            raise problem

    def _has_log(self) -> bool:
        log = self.path.with_name(f"{self.path.name}-wal")
        return log.exists() and log.stat().st_size > 0

    def _check_format(self) -> int:
        """The file's format version."""
        with self.reading() as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = schema.format_version(connection)
        if application != schema.APPLICATION_ID:
            raise GalleryDamagedError(
                f"{self.path} is not a gallery of this program: check the path, or choose another "
                "place for the gallery."
            )
        if not 1 <= version <= schema.VERSION:
            raise GalleryError(
                f"{self.path} is of gallery format {version}, this program knows formats up to "
                f"{schema.VERSION}: install the mfr that wrote it."
            )
        return version
