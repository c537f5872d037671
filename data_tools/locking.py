"""One writer at a time, for what several commands may change in the same dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
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


def aligning_alone(root: Path) -> AbstractContextManager[None]:
    """Be the only alignment of the dataset.

    Raises:
        DataError: another one is under way.
        WriteError: the dataset's directory cannot be written.
    """
    return locking.refusing_others(root / ".align.lock", "'mfr data align'", DataError)


def synthesising_alone(root: Path) -> AbstractContextManager[None]:
    """Be the only command that draws synthetic faces into the dataset.

    Raises:
        DataError: another one is under way.
        WriteError: the dataset's directory cannot be made or written.
    """
    return locking.refusing_others(root / ".synth.lock", "'mfr data synth'", DataError)


def simulating_alone(root: Path) -> AbstractContextManager[None]:
    """Be the only simulation of a domain in the dataset.

    Raises:
        DataError: another one is under way.
        WriteError: the dataset's directory cannot be written.
    """
    return locking.refusing_others(root / ".simulate.lock", "simulation", DataError)


def unpacking_alone(folder: Path) -> AbstractContextManager[None]:
    """Be the only import that unpacks a pack into ``folder``.

    Raises:
        DataError: another one is under way.
        WriteError: the folder cannot be made or written.
    """
    return locking.refusing_others(folder / ".lock", "import of the same pack", DataError)
