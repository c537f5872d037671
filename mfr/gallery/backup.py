"""Backups of galleries."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from mfr.errors import GalleryError
from mfr.gallery.sqlite import SqliteStore
from mfr.gallery.store import Location, directory_of


def back_up(location: Location, out: str | Path) -> None:
    """Write a whole copy of a gallery, which others may use and change meanwhile.

    The copy has all that was enrolled when it began; it appears complete or not at all. It is a
    gallery itself: to restore it, put it in the place of the other.

    Args:
        location: the gallery, a directory.
        out: the directory of the copy; nothing may be there but an empty directory.

    Raises:
        GalleryMissingError: there is no gallery at ``location``.
        GalleryExistsError: something is at ``out``.
        GalleryDamagedError: the gallery is damaged; no copy is made.
        GalleryError: the gallery is no directory.
        WriteError: the disk is full or the place not writable.
    """
    directory = directory_of(location)
    if directory is None:
        raise GalleryError(f"{location} is no directory: back it up with its database's own tools.")
    with closing(SqliteStore.open(directory)) as store:
        store.back_up(Path(out))
