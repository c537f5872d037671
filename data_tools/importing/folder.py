"""The importer for photos in identity folders; it does not decode, move or copy them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from data_tools.importing.adding import ImportResult, add_rows, place_below
from data_tools.importing.leaving_out import Leftovers
from data_tools.importing.names import check_domain
from data_tools.importing.people import read_people
from mfr.errors import DataError
from mfr.images import EXTENSIONS
from mfr.photo_folder import list_folder


class Photo(NamedTuple):
    """An image in an identity folder."""

    identity: str
    path: Path


class IdentityFolders:
    """The images ``photos/<identity>/<image>``, listed in order while they are iterated over.

    All else is counted and named. Symbolic links above the photos are resolved once, so that paths
    relative to the dataset stay right whichever way the dataset is reached.

    Attributes:
        photos: the folder that holds the identity folders.
        leftovers: what was met so far and not taken: hidden files, files outside the identity
            folders, photos in folders inside those, and files that are no images.

    Args:
        photos: the folder that holds the identity folders.
        lists: the names of files beside the identity folders that the importer reads.

    Raises:
        DataError: there is no such folder; during the iteration, a folder cannot be read; at its
            end, no image was found.
    """

    def __init__(self, photos: str | Path, lists: Collection[str] = ()) -> None:
        if not Path(photos).is_dir():
            raise DataError(
                f"{photos} is not a folder: name the one that holds a folder for each identity."
            )
        self.photos = Path(photos).resolve()
        self.leftovers = Leftovers()
        self._lists = lists

    def __iter__(self) -> Iterator[Photo]:
        empty = True
        for folder in self._visible(self.photos):
            if not folder.is_dir():
                if folder.name not in self._lists:
                    self._leave("files outside the identity folders", folder.path)
                continue
            for entry in self._visible(Path(folder.path)):
                path = Path(entry.path)
                if entry.is_dir():
                    self._leave_photos_below(path)
                elif path.suffix.lower() not in EXTENSIONS:
                    self._leave("files without the extension of an image", entry.path)
                elif entry.is_file():
                    empty = False
                    yield Photo(folder.name, path)
                else:
                    self._leave("links that lead nowhere, pipes and the like", entry.path)
        if empty:
            raise DataError(
                f"{self.photos} has no images in identity folders: arrange them as "
                f"{self.photos.name}/<identity>/<image>.jpg."
            )

    def _leave(self, reason: str, path: str | Path) -> None:
        self.leftovers.add(reason, os.path.relpath(path, self.photos))

    def _leave_photos_below(self, folder: Path) -> None:
        # Whose photos these are is not certain: the user may have named a folder too high up.
        for above, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                if Path(name).suffix.lower() in EXTENSIONS:
                    self._leave("photos in folders inside an identity's folder", Path(above, name))

    def _visible(self, folder: Path) -> list[os.DirEntry[str]]:
        found = list_folder(folder)
        for entry in found:
            if entry.name.startswith("."):
                self._leave("hidden files or folders", entry.path)
        return [entry for entry in found if not entry.name.startswith(".")]

    def named(self, suffix: str, dataset: str) -> Iterator[Photo]:
        """The images, after checking that each is named ``<identity>_0001`` plus ``suffix``.

        The pair lists of such datasets refer to an image by its person and number.

        Raises:
            DataError: an image has another form of name.
        """
        for photo in self:
            identity = photo.identity
            # Macs write names in another normal form than other systems do.
            named, name = (
                unicodedata.normalize("NFC", text) for text in (identity, photo.path.name)
            )
            if not re.fullmatch(rf"{re.escape(named)}_[0-9]{{4}}{re.escape(suffix)}", name):
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

    return add_rows(root, rows(), people=known, licence=licence).without(listed.leftovers)
