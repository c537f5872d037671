"""Whether a gallery file is all there is: a copy made while it was in use lacks the latest changes.

While a gallery is written, its latest changes are in the write-ahead log beside the file, and a
copy of the file alone is a valid gallery of an earlier state. So the file carries a mark while it
may be written: it is set before the first change and removed by whoever closes the gallery last. A
file with the mark and without a log was copied alone, or its log was deleted. (A killed process
leaves both.)

What this cannot tell: a copy by a program of an older format, and one of file and log taken at
different moments.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from pathlib import Path
from typing import Final

LOCK_NAME: Final = "gallery.lock"
"""The file that everybody who has the gallery open holds a shared lock on."""

SENTENCE: Final = (
    "{} was copied without its log while it was in use, or the log was deleted: the latest changes "
    "may be missing. Restore a copy that 'mfr gallery backup' made; if nothing is missing, 'mfr "
    "gallery rebuild' ends this warning."
)

_IN_USE, _INCOMPLETE = "in use", "incomplete"
_PAUSE: Final = 0.002


class UseLock:
    """A lock that is shared by all who have a gallery open, so that the last one knows it is.

    Where the lock file cannot be made (a disk that is read-only) nobody is ever alone.
    """

    def __init__(self, directory: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        self._file = None
        with contextlib.suppress(OSError):
            self._file = os.fdopen(os.open(directory / LOCK_NAME, flags, 0o666), "rb+", 0)

    def take_alone(self) -> bool:
        """Take the lock for oneself, if nobody else holds it; who opens the gallery now waits."""
        return self._taken(fcntl.LOCK_EX)

    def share(self, seconds: float) -> None:
        """Take the lock with others; waits for one who has it alone, who is opening or closing."""
        deadline = time.monotonic() + seconds
        while not self._taken(fcntl.LOCK_SH) and time.monotonic() < deadline:
            if self._file is None:
                return
            time.sleep(_PAUSE)

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _taken(self, kind: int) -> bool:
        if self._file is None:
            return False
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def mark(connection: sqlite3.Connection) -> None:
    """Say that the file may be written, before it is: in the file itself, not only in the log."""
    if _marked(connection) is None:
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('in_use', ?)", (_IN_USE,))
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def unmark(connection: sqlite3.Connection) -> None:
    """Say that the file is all there is, unless it is known that it is not."""
    if _marked(connection) == _IN_USE:
        connection.execute("DELETE FROM meta WHERE key = 'in_use' AND value = ?", (_IN_USE,))


def mark_incomplete(connection: sqlite3.Connection) -> None:
    """Keep that changes may be missing, for whoever opens the file next."""
    connection.execute("UPDATE meta SET value = ? WHERE key = 'in_use'", (_INCOMPLETE,))


def accept(connection: sqlite3.Connection) -> None:
    """Take the file for complete, as a user has said."""
    connection.execute(
        "UPDATE meta SET value = ? WHERE key = 'in_use' AND value = ?", (_IN_USE, _INCOMPLETE)
    )


def lacks_changes(connection: sqlite3.Connection, log_was_missing: bool) -> bool:
    """Whether the latest changes may be missing.

    Args:
        connection: reads the file.
        log_was_missing: whether there was no log before it was opened, and nobody else had it open.
    """
    marked = _marked(connection)
    return marked == _INCOMPLETE or (marked is not None and log_was_missing)


def _marked(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = 'in_use'").fetchone()
    return None if row is None else str(row[0])
