"""Locks between processes, which the operating system releases however a process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mfr import atomic
from mfr.errors import MfrError


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
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise error(
                f"Another {work} is at work on {path.parent}: wait for it to end, or stop it."
            ) from held
        yield


def _opened(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Neither followed, if it is a link, nor waited for, if it is a pipe.
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "rb+", 0)
    except OSError as error:
        raise atomic.write_error(path, error) from error
