"""What lies in a folder, and the photos of a folder and of all folders below it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mfr.errors import DataError
from mfr.images import EXTENSIONS


def photos_below(
    folder: str | Path,
    *,
    without: Path | None = None,
    on_left_out: Callable[[str, Path], None] = lambda reason, path: None,
) -> list[Path]:
    """The photos of ``folder`` and of all folders below it, in the order of their paths.

    Hidden files and folders are left out, and links to folders are not followed, so that no circle
    of links is walked.

    Args:
        folder: the folder.
        without: a folder that is left out with all that is in it.
        on_left_out: called with a reason, in the plural, and the path of everything that is there
            and is not taken.

    Raises:
        DataError: there is no such folder, it or one below cannot be read, or it has no photo.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: name the one that holds the photos.")
    left_out = None if without is None else without.resolve()
    found: list[Path] = []
    for above, folders, files in os.walk(folder, onerror=_refuse):
        here = Path(above)
        kept = []
        for name in sorted(folders):
            if name.startswith("."):
                on_left_out("hidden files or folders", here / name)
            elif (here / name).is_symlink():
                on_left_out("links to folders", here / name)
            elif left_out is None or (here / name).resolve() != left_out:
                kept.append(name)
        folders[:] = kept
        for name in files:
            if name.startswith("."):
                on_left_out("hidden files or folders", here / name)
            elif Path(name).suffix.lower() not in EXTENSIONS:
                on_left_out("files without the extension of an image", here / name)
            elif (here / name).is_file():
                found.append(here / name)
            else:
                on_left_out("links that lead nowhere, pipes and the like", here / name)
    if not found:
        raise DataError(f"{folder} has no photos, nor has any folder below it: name another.")
    return sorted(found)


def list_folder(folder: Path) -> list[os.DirEntry[str]]:
    """Everything that lies in ``folder`` itself, by name.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}): give yourself permission to read it."
        ) from error


def _refuse(error: OSError) -> None:
    raise DataError(
        f"{error.filename} cannot be read ({error.strerror}): give yourself permission to read it."
    ) from error
