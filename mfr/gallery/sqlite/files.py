"""A gallery's directory and the file in it."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

from mfr import atomic
from mfr.errors import GalleryExistsError, GalleryMissingError, WriteError
from mfr.gallery.sqlite import schema
from mfr.gallery.sqlite.errors import unreadable

FILE_NAME: Final = "gallery.sqlite"


def occupied(directory: Path) -> bool:
    """Whether something other than an empty directory is at ``directory``."""
    return directory.exists() and (not directory.is_dir() or any(directory.iterdir()))


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
    if not found:
        raise GalleryMissingError(
            f"{directory} is not a gallery (it has no {FILE_NAME}): check the path, or make one "
            f"with 'mfr enroll {directory} NAME PHOTO --model MODEL'."
        )
    return path


def create_directory(directory: Path, *, model_hash: str, embedding_size: int) -> None:
    """Make an empty gallery, which appears complete: a finished directory is renamed.

    Raises:
        GalleryExistsError: ``directory`` is a file, or a directory that is not empty.
        WriteError: the disk is full or the location cannot be written.
    """
    if occupied(directory):
        raise GalleryExistsError(
            f"{directory} exists and is not an empty directory: choose another place for the "
            "gallery."
        )
    staging: Path | None = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(
            tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".tmp", dir=directory.parent)
        )
        schema.write_empty(staging / FILE_NAME, model_hash, embedding_size)
        # The directory stays private to its maker (0700): templates are biometric data.
        staging.replace(directory)
        atomic.sync_directory(directory.parent)
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
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
