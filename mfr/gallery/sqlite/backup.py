"""A whole copy of a gallery file, whoever writes it meanwhile."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from mfr.gallery.sqlite import in_use


def copy_file(source: sqlite3.Connection, path: Path) -> bool:
    """Copy what ``source`` sees, log and all, to a new file, for its maker's eyes only.

    Args:
        source: in a transaction.
        path: where nothing is yet.

    Returns:
        Whether the copy is damaged, as the file is then.

    Raises:
        OSError: the place is taken or cannot be written.
        sqlite3.Error: the disk is full, or fails.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous = FULL")
        source.backup(copy)
        in_use.unmark(copy)
        return bool(copy.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok")
