"""Locks that admit one writer at a time to the parts of a dataset that several commands change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from mfr import locking
from mfr.errors import DataError


@contextlib.contextmanager
def changing_manifest(root: Path) -> Iterator[None]:
    """Lock the dataset's manifest while it is read, changed and written; wait for other writers.

    Raises:
        WriteError: the dataset's directory cannot be made or written.
    """
    with locking.waiting_for(root / ".manifest.lock"):
        yield


def aligning_alone(root: Path) -> AbstractContextManager[None]:
    """Lock the dataset against another alignment.

    Raises:
        DataError: another one is under way.
        WriteError: the dataset's directory cannot be written.
    """
    return locking.refusing_others(root / ".align.lock", "'mfr data align'", DataError)


def clustering_alone(root: Path) -> AbstractContextManager[None]:
    """Lock the dataset against another clustering of its photos.

    Raises:
        DataError: another one is under way.
        WriteError: the dataset's directory cannot be made or written.
    """
    return locking.refusing_others(root / ".cluster.lock", "'mfr data cluster'", DataError)


def synthesising_alone(root: Path) -> AbstractContextManager[None]:
    """Lock the dataset against another command that draws synthetic faces.

    Raises:
        DataError: another one is under way.
        WriteError: the dataset's directory cannot be made or written.
    """
    return locking.refusing_others(root / ".synth.lock", "'mfr data synth'", DataError)


def simulating_alone(root: Path) -> AbstractContextManager[None]:
    """Lock the dataset against another simulation of a domain.

    Raises:
        DataError: another one is under way.
        WriteError: the dataset's directory cannot be written.
    """
    return locking.refusing_others(root / ".simulate.lock", "simulation", DataError)


def unpacking_alone(folder: Path) -> AbstractContextManager[None]:
    """Lock ``folder`` against another import that unpacks a pack into it.

    Raises:
        DataError: another one is under way.
        WriteError: the folder cannot be made or written.
    """
    return locking.refusing_others(folder / ".lock", "import of the same pack", DataError)
