"""Locks between processes, which the operating system releases however a process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from mfr import atomic
from mfr.errors import MfrError

_PAUSE: Final = 0.005
"""Seconds between two looks at a lock that another process holds."""


@contextlib.contextmanager
def waiting_for(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, made if need be; waits for the process that holds it.

    Raises:
        WriteError: the file cannot be made.
    """
    with _opened(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def waiting_at_most(path: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock file ``path``, made if need be, or not: whether it is held.

    Args:
        path: the lock file.
        seconds: how long to wait for the process that holds it.

    Raises:
        WriteError: the file cannot be made.
    """
    with _opened(path) as file:
        deadline = time.monotonic() + seconds
        held = _held(file)
        while not held and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            held = _held(file)
        yield held


@contextlib.contextmanager
def refusing_others(path: Path, work: str, error: type[MfrError]) -> Iterator[None]:
    """Hold the lock file ``path``, made if need be, or fail at once.

    Args:
        path: the lock file, in the directory that is worked on.
        work: what holds it, for the sentence: "'mfr train'".
        error: the error that is raised where another process holds it.

    Raises:
        MfrError: another process holds it; of the class ``error``.
        WriteError: the file cannot be made.
    """
    with _opened(path) as file:
        if not _held(file):
            raise error(
                f"Another {work} is at work on {path.parent}: wait for it to end, or stop it."
            )
        yield


def _held(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _opened(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Neither followed, if it is a link, nor waited for, if it is a pipe.
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "rb+", 0)
    except OSError as error:
        raise atomic.write_error(path, error) from error
