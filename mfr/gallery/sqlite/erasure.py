"""What is removed from a gallery is gone from its files, to the last byte.

Three things keep removed rows in SQLite's files. Freed space keeps its content: the pragma
``secure_delete`` overwrites it. The write-ahead log keeps the pages as they were: it is folded into
the file and cut to nothing. And when SQLite moves rows from a page to its neighbours, copies stay
in the page's unused middle, which ``secure_delete`` does not reach: VACUUM makes the file anew
without them. A mark in the file says that this remains to be done, so that whoever opens the
gallery next does what a killed process left undone, or one that others were in the way of.
"""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from typing import Any, Final

VACUUM_AT_ONCE: Final = 256 * 2**20
"""Bytes of the largest file that is made anew with each removal, which takes about two seconds;
larger ones are made anew by a rebuild."""


def mark(connection: sqlite3.Connection) -> None:
    """Say that something was removed, in the transaction that removes it."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('erasing', ?)", (secrets.token_hex(8),))


def is_pending(connection: sqlite3.Connection) -> bool:
    """Whether removed rows may still be found in the file or its log."""
    return _last_mark(connection) is not None


def finish(connection: sqlite3.Connection, path: Path, *, any_size: bool) -> bool:
    """Erase what was removed; outside a transaction.

    Args:
        connection: may write the file.
        path: the file.
        any_size: make the file anew however large it is.

    Returns:
        Whether nothing of what was removed is left in the log; False while another connection reads
        an older state.

    Raises:
        sqlite3.Error: another connection writes, or the disk is full.
    """
    marked = _last_mark(connection)
    if marked is None:
        return True
    whole = any_size or path.stat().st_size <= VACUUM_AT_ONCE
    if whole:
        connection.execute("VACUUM")
    if not cut_log(connection):
        return False
    if whole:
        # Another process's mark, which may have come meanwhile, stays.
        connection.execute("DELETE FROM meta WHERE key = 'erasing' AND value = ?", marked)
        cut_log(connection)
    return True


def cut_log(connection: sqlite3.Connection) -> bool:
    """Fold the write-ahead log into the file and cut it; False where others hinder it."""
    return connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def _last_mark(connection: sqlite3.Connection) -> Any:
    return connection.execute("SELECT value FROM meta WHERE key = 'erasing'").fetchone()
