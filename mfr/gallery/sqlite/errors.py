"""SQLite's errors as sentences that say what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from mfr.errors import GalleryBusyError, GalleryDamagedError, GalleryError, WriteError


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn an error of SQLite about the file ``path`` into ours.

    SQLite's messages tell the causes apart, because Python 3.10 has no error codes.
    """
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a mistake in this program, or a store used after it was closed
    except sqlite3.Error as error:
        raise _sentence(path, str(error)) from error


def _sentence(path: Path, message: str) -> GalleryError | WriteError:
    if "locked" in message or "busy" in message:
        return GalleryBusyError(f"{path} is being written by another program: wait and try again.")
    if "full" in message:
        return WriteError(
            f"No space left on the disk while writing {path}: free some space and run the same "
            "command again; what was enrolled before is untouched."
        )
    if "readonly" in message:
        return WriteError(f"Cannot write {path}: give yourself permission to write its directory.")
    if "disk I/O" in message:
        return GalleryError(
            f"The disk failed while {path} was read or written: check the disk, then run the same "
            "command again; what was enrolled before is untouched."
        )
    if "unable to open" in message:
        return unreadable(path)
    return damaged(path)


def unreadable(path: Path) -> GalleryError:
    """The error of a file that may not be read."""
    return GalleryError(f"{path} cannot be read: give yourself permission to read it.")


def damaged(path: Path) -> GalleryDamagedError:
    """The error of a file that is not what was written."""
    return GalleryDamagedError(
        f"{path} is damaged or not a gallery: restore it from a backup, or move it away and enroll "
        "everyone again."
    )
