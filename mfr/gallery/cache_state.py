"""Whether a cache file is there, of which state it is, and how it is taken away: without FAISS.

What was removed from a gallery must not lie about in a cache: a removal takes the file away, and
opening a gallery takes away what a killed process has left.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import IO, Final

from mfr import atomic, locking
from mfr.errors import WriteError
from mfr.gallery.store import Store

FORMAT: Final = b"mfr-index-4\n"
"""The first line of a cache file."""

LONGEST_LINE: Final = 4096
"""The longest line before the seal, in bytes; the second one is JSON with the stamp."""


def open_cache(path: Path) -> IO[bytes]:
    """Open a cache file for reading; a pipe is not waited for, and a link not followed.

    Raises:
        OSError: it is no regular file, or cannot be read.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is not a regular file")
    return file


def cached_stamp(path: Path) -> str | None:
    """The stamp a cache file says it has, whether or not the rest of it is sound."""
    try:
        with open_cache(path) as file:
            if file.readline(LONGEST_LINE) != FORMAT:
                return None
            return str(json.loads(file.readline(LONGEST_LINE))["stamp"])
    except Exception:  # the bytes may be anybody's
        return None


def lock_of(path: Path) -> Path:
    """The lock file beside the cache file ``path``: who holds it may write there."""
    return path.with_suffix(".lock")


def erase_cache(path: Path, *, seconds: float) -> None:
    """Remove the cache file, and what killed writers left of others.

    Args:
        path: the cache file.
        seconds: how long to wait for a process that is writing it. One that takes longer, or is
            stopped, finds its unfinished file gone and writes another one later.
    """
    with contextlib.suppress(WriteError), locking.waiting_at_most(lock_of(path), seconds):
        atomic.remove_unfinished(path.parent)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def sweep_cache(path: Path, store: Store) -> None:
    """Remove a cache file that holds what ``store`` has removed or is of no use, and leavings.

    Nothing happens where there is nothing to remove, or where nothing may be written.
    """
    stamp = cached_stamp(path)
    if os.path.lexists(path) if stamp is None else store.has_removed(stamp):
        erase_cache(path, seconds=0.0)
    elif any(path.parent.glob(".*.tmp.*")):
        with (
            contextlib.suppress(WriteError),
            locking.waiting_at_most(lock_of(path), 0.0) as held,
        ):
            if held:
                atomic.remove_unfinished(path.parent)
