"""The importer for photos in identity folders; it does not decode, move or copy them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from data_tools.importing.adding import ImportResult, add_rows, place_below
from data_tools.importing.names import check_domain
from data_tools.importing.people import read_people
from mfr.errors import DataError

EXTENSIONS: Final = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "webp"),
        *("tif", "tiff", "gif", "ppm", "pgm", "pnm", "jp2"),
    )
)
"""The extensions, in upper or lower case, of the files that count as images."""


class Photo(NamedTuple):
    """An image in an identity folder."""

    identity: str
    path: Path


class IdentityFolders:
    """The images ``photos/<identity>/<image>``, listed in order while they are iterated over.

    Hidden files are passed over. Symbolic links above the photos are resolved once, so that paths
    relative to the dataset stay right whichever way the dataset is reached.

    Attributes:
        photos: the folder that holds the identity folders.
        ignored: the number of other files met so far, which either do not have the extension of an
            image or lie outside the identity folders.

    Raises:
        DataError: there is no such folder; during the iteration, a folder cannot be read; at its
            end, no image was found.
    """

    def __init__(self, photos: str | Path) -> None:
        if not Path(photos).is_dir():
            raise DataError(
                f"{photos} is not a folder: name the one that holds a folder for each identity."
            )
        self.photos = Path(photos).resolve()
        self.ignored = 0

    def __iter__(self) -> Iterator[Photo]:
        empty = True
        for folder in _visible(self.photos):
            if not folder.is_dir():
                self.ignored += 1
                continue
            for entry in _visible(folder.path):
                path = Path(entry.path)
                if path.suffix.lower() in EXTENSIONS and entry.is_file():
                    empty = False
                    yield Photo(folder.name, path)
                elif not entry.is_dir():
                    self.ignored += 1
        if empty:
            raise DataError(
                f"{self.photos} has no images in identity folders: arrange them as "
                f"{self.photos.name}/<identity>/<image>.jpg."
            )

    def named(self, suffix: str, dataset: str) -> Iterator[Photo]:
        """The images, after checking that each is named ``<identity>_0001`` plus ``suffix``.

        The pair lists of such datasets refer to an image by its person and number.

        Raises:
            DataError: an image has another form of name.
        """
        for photo in self:
            identity = photo.identity
            form = rf"{re.escape(identity)}_\d{{4}}{re.escape(suffix)}"
            if not re.fullmatch(form, photo.path.name):
                raise DataError(
                    f"{photo.path} is not named as {dataset} images are "
                    f"({identity}_0001{suffix}): unpack {dataset} again, or use "
                    "'mfr data import folder'."
                )
            yield photo


def import_folder(
    photos: str | Path,
    root: str | Path,
    *,
    domain: str,
    people: str | Path | None = None,
    licence: str | None = None,
) -> ImportResult:
    """Add the images ``photos/<identity>/<image>`` to the dataset ``root`` as one domain.

    Args:
        photos: the folder that holds the identity folders.
        root: the dataset's directory, created if it does not exist.
        domain: the domain's name.
        people: a CSV file with the columns domain, identity and person (other columns are
            ignored), which joins the identities that one person has in several domains. The
            person of an identity that it does not list is found by its name.
        licence: a note kept in the manifest under ``notes['licences'][domain]``.

    Raises:
        DataError: there is no such folder, it holds no image, a name cannot be used, a photo
            already belongs to another domain, or the people file is wrong.
        WriteError: the dataset cannot be written.
    """
    check_domain(domain)
    known = None if people is None else read_people(people)
    listed = IdentityFolders(photos)
    place = place_below(root)

    def rows() -> Iterator[dict[str, Any]]:
        for identity, path in listed:
            yield {
                "path": place(path),
                "identity": identity,
                "domain": domain,
                "source": f"folder {listed.photos.name}",
            }

    result = add_rows(root, rows(), people=known, licence=licence)
    return replace(result, ignored=listed.ignored)


def _visible(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}): give yourself permission to read it."
        ) from error
    return sorted(shown, key=lambda entry: entry.name)
