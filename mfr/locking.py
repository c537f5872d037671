"""Locks between processes that the operating system lets go of, however a process ends."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from mfr import atomic


@contextlib.contextmanager
def waiting_for(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, made if need be; waits for whoever holds it.

    Raises:
        WriteError: the file cannot be made.
    """
    with _locked(path, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def refusing_others(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, made if need be, or fail at once.

    Raises:
        BlockingIOError: someone holds it.
        WriteError: the file cannot be made.
    """
    with _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
        yield


@contextlib.contextmanager
def _locked(path: Path, operation: int) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise atomic.write_error(path, error) from error
    with file:
        fcntl.flock(file, operation)
        yield
