"""A gallery's directory and the file in it."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mfr import atomic, locking
from mfr.errors import GalleryExistsError, GalleryMissingError, WriteError
from mfr.gallery.sqlite.errors import unreadable

FILE_NAME: Final = "gallery.sqlite"


_FORMATTED: Final = "lost+found"
"""What a file system that was just made has in it."""

_UNFINISHED: Final = ".gallery.*.tmp.sqlite*"


def occupied(directory: Path) -> bool:
    """Whether something other than an empty directory is at ``directory``."""
    if not directory.is_dir():
        return directory.exists()
    return any(
        entry.name != _FORMATTED and not entry.match(_UNFINISHED) for entry in directory.iterdir()
    )


def find_file(directory: Path) -> Path:
    """The gallery file in ``directory``.

    Raises:
        GalleryMissingError: there is none.
        GalleryError: the directory may not be read.
    """
    path = directory / FILE_NAME
    try:
        found = path.is_file()
    except PermissionError as error:
        raise unreadable(path) from error
    if not found and directory.is_file():
        raise GalleryMissingError(
            f"{directory} is a file, not the directory of a gallery: check the path."
        )
    if not found and directory.is_dir() and occupied(directory):
        raise GalleryMissingError(
            f"{directory} is a directory of other files, not a gallery (it has no {FILE_NAME}): "
            "check the path, or choose a new place for a gallery."
        )
    if not found:
        raise GalleryMissingError(
            f"{directory} is not a gallery (it has no {FILE_NAME}): check the path, or make one "
            f"with 'mfr enroll {directory} NAME PHOTO'."
        )
    return path


def create_directory(directory: Path, make: Callable[[Path], None]) -> None:
    """Make a gallery, which appears complete.

    A new directory is finished beside its place and renamed; it is private to its maker (0700), as
    templates are biometric data. An empty one that is there already, which may be a volume, the
    present directory or a symbolic link, is kept: the finished file appears in it.

    Args:
        directory: where.
        make: makes the gallery file at a path in an existing directory.

    Raises:
        GalleryExistsError: ``directory`` is a file, or a directory that is not empty.
        WriteError: the disk is full or the location cannot be written.
    """
    if occupied(directory):
        raise GalleryExistsError(
            f"{directory} exists and is not an empty directory: choose another place for the "
            "gallery."
        )
    try:
        if directory.is_dir():
            _fill(directory, make)
        else:
            _place(directory, make)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise GalleryExistsError(
                f"{directory} was made by another program just now: run the command again."
            ) from error
        raise atomic.write_error(directory, error) from error
    except sqlite3.Error as error:
        raise WriteError(
            f"Cannot write {directory / FILE_NAME} ({error}): free some space or choose another "
            "place."
        ) from error


def _place(directory: Path, make: Callable[[Path], None]) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(
        tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".tmp", dir=directory.parent)
    )
    try:
        make(staging / FILE_NAME)
        staging.replace(directory)
        atomic.sync_directory(directory.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fill(directory: Path, make: Callable[[Path], None]) -> None:
    staging = directory / f".gallery.{secrets.token_hex(8)}.tmp.sqlite"
    try:
        make(staging)
        try:
            # Unlike a rename, a link fails where another program has made the file meanwhile.
            os.link(staging, directory / FILE_NAME)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            # A file system without links.
            with locking.waiting_for(directory / "index.lock"):
                if (directory / FILE_NAME).exists():
                    raise FileExistsError(errno.EEXIST, "made meanwhile") from error
                staging.replace(directory / FILE_NAME)
        atomic.sync_directory(directory)
    finally:
        for file in directory.glob(f"{staging.name}*"):
            file.unlink(missing_ok=True)
