"""One writer at a time, for what several commands may change in the same dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mfr import locking
from mfr.errors import DataError


@contextlib.contextmanager
def changing_manifest(root: Path) -> Iterator[None]:
    """Hold the dataset's manifest for one read, change and write; waits for others.

    Raises:
        WriteError: the dataset's directory cannot be made or written.
    """
    with locking.waiting_for(root / ".manifest.lock"):
        yield


@contextlib.contextmanager
def aligning_alone(root: Path) -> Iterator[None]:
    """Be the only alignment of the dataset.

    Raises:
        DataError: another one is under way.
        WriteError: the dataset's directory cannot be written.
    """
    try:
        with locking.refusing_others(root / ".align.lock"):
            yield
    except BlockingIOError as error:
        raise DataError(
            f"Another 'mfr data align' is at work on {root}: wait for it to end, or stop it."
        ) from error


@contextlib.contextmanager
def synthesising_alone(root: Path) -> Iterator[None]:
    """Be the only one to draw synthetic faces into the dataset.

    Raises:
        DataError: another one is under way.
        WriteError: the dataset's directory cannot be made or written.
    """
    try:
        with locking.refusing_others(root / ".synth.lock"):
            yield
    except BlockingIOError as error:
        raise DataError(
            f"Another 'mfr data synth' is at work on {root}: wait for it to end, or stop it."
        ) from error
