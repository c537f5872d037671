"""One connection to a gallery file, shared by threads: transactions, and errors as sentences."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from mfr.errors import GalleryBusyError, GalleryDamagedError, GalleryError, WriteError
from mfr.gallery.encryption_state import insist_on_same
from mfr.gallery.sqlite import erasure, in_use, schema
from mfr.gallery.sqlite.errors import translated, unreadable
from mfr.gallery.sqlite.in_use import UseLock


class Connection:
    """An open gallery file of this format or an older one. Threads may share it.

    The file is in WAL mode, so readers never wait for the one writer, and ``synchronous=FULL``, so
    a committed transaction outlives a crash. Reading and writing have a connection each: a thread
    that waits for another program's transaction to end does not hold up the threads that read. A
    file of an older format is upgraded where it can be written and stays readable where it cannot.

    Raises:
        GalleryError: the file cannot be read, is not a gallery's, is damaged or of a newer format.
    """

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self.path = path
        self._busy_seconds = busy_seconds
        self._reading_lock, self._writing_lock = threading.RLock(), threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._erasing = False  # whether something was removed and is not erased yet
        self._marked = False  # whether the file says that it is in use
        self.encryption = ""
        """The number of the encryption that is reckoned with; empty for none."""
        self.lacks_changes = False
        if not os.access(path, os.R_OK):
            raise unreadable(path)
        self._use = UseLock(path.parent)
        log_was_missing = self._use.take_alone() and not os.path.lexists(self._log())
        # Whatever becomes of us, the last one to have the file open says that it is all there is.
        self._open: list[sqlite3.Connection] = []
        self._process = os.getpid()
        self._shut = weakref.finalize(self, _shut, self._open, self._use, self._process)
        try:
            self._reader = self._connect()
            with translated(path):
                self.version = self._check_format()
                self.encryption = schema.encryption_of(self._reader)
            self._look_for_missing_changes(log_was_missing)
            self._use.share(busy_seconds)
            # Reading goes on in the old format; writing tries again and says what is wrong.
            if self.version < schema.VERSION:
                with contextlib.suppress(GalleryBusyError, WriteError), self.writing():
                    pass
            self._finish_what_others_left()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; the last connection to close folds the write-ahead log into it."""
        if self._erasing:
            self.finish_erasure(patient=False)
        with self._writing_lock, self._reading_lock, translated(self.path):
            self._shut()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file; nests inside another one."""
        self._insist_on_own_process()
        with self._reading_lock, translated(self.path):
            if self._reader.in_transaction:
                yield self._reader
                return
            self._reader.execute("BEGIN")
            try:
                self._insist_on_same_encryption(self._reader)
                yield self._reader
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed on a clean exit, undone on any exception."""
        self._insist_on_own_process()
        with self._writing_lock, translated(self.path):
            writer = self._writing_connection()
            if not self._marked and self.version >= schema.WITH_MARKS:
                in_use.mark(writer)
                self._marked = True
            writer.execute("BEGIN IMMEDIATE")
            try:
                if self.version < schema.VERSION:
                    schema.upgrade(writer)
                self._insist_on_same_encryption(writer)
                yield writer
                writer.execute("COMMIT")
                self.version = schema.VERSION
            finally:
                # Some errors, a full disk among them, have undone the transaction already.
                if writer.in_transaction:
                    writer.execute("ROLLBACK")

    def finish_erasure(self, *, patient: bool, any_size: bool = False) -> None:
        """Erase what was removed, as far as other connections let us: closing tries once more.

        Args:
            patient: wait for others, as long as a writer does.
            any_size: make the file anew however large it is.
        """
        with self._writing_lock:
            self._erasing = True
            # Where it does not succeed the mark in the file stays, for whoever opens it next.
            with contextlib.suppress(GalleryBusyError, WriteError), translated(self.path):
                writer = self._writing_connection()
                _wait_for_others(writer, self._busy_seconds if patient else 0.0)
                try:
                    self._erasing = not erasure.finish(writer, self.path, any_size=any_size)
                finally:
                    _wait_for_others(writer, self._busy_seconds)

    def take_for_complete(self) -> None:
        """No longer warn that changes may be missing."""
        if self.lacks_changes:
            with self.writing() as connection:
                in_use.accept(connection)
            self.lacks_changes = False

    def _insist_on_own_process(self) -> None:
        # SQLite's locks do not outlast a fork: two processes would write as if alone.
        if os.getpid() != self._process:
            raise GalleryError(
                f"{self.path.parent} was opened before this process was forked: open the gallery "
                "again in each process."
            )

    def _insist_on_same_encryption(self, connection: sqlite3.Connection) -> None:
        insist_on_same(schema.encryption_of(connection), self.encryption, self.path.parent)

    def _look_for_missing_changes(self, log_was_missing: bool) -> None:
        if self.version < schema.WITH_MARKS:
            return
        with self.reading() as connection:
            self.lacks_changes = in_use.lacks_changes(connection, log_was_missing)
        if self.lacks_changes:
            # Reading has made a log: the next one to open the file could not tell.
            with contextlib.suppress(GalleryBusyError, WriteError), self.writing() as connection:
                in_use.mark_incomplete(connection)

    def _finish_what_others_left(self) -> None:
        if self.version < schema.WITH_MARKS or not os.access(self.path, os.W_OK):
            return
        with self.reading() as connection:
            pending = erasure.is_pending(connection)
        if pending:
            self.finish_erasure(patient=False)

    def _writing_connection(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def _connect(self) -> sqlite3.Connection:
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
                timeout=self._busy_seconds,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA secure_delete = ON")
                connection.text_factory = _text
                connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
                self._open.append(connection)
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

    def _log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def _has_log(self) -> bool:
        return self._log().exists() and self._log().stat().st_size > 0

    def _check_format(self) -> int:
        """The file's format version."""
        application = self._reader.execute("PRAGMA application_id").fetchone()[0]
        version = schema.format_version(self._reader)
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


def _shut(connections: list[sqlite3.Connection], use: UseLock, process: int) -> None:
    if os.getpid() != process:  # they are still in use where they were opened
        return
    if use.take_alone() and connections:
        with contextlib.suppress(sqlite3.Error):  # read-only, or the disk is full: it stays marked
            in_use.unmark(connections[-1])
    for connection in connections:
        connection.close()
    use.release()


def _wait_for_others(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(1000 * seconds)}")


def _text(data: bytes) -> str:
    """Text of the file; a damaged one can be shown, and is no reason to show nothing."""
    return data.decode("utf-8", "backslashreplace")
