"""The photos to be grouped: a folder tree as a working dataset, whose names mean nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data_tools.importing.adding import place_below
from data_tools.importing.leaving_out import LeftOut, Leftovers
from data_tools.importing.names import check_domain, check_path
from data_tools.locking import changing_manifest
from mfr.data.inside import inside
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import FILE_NAME
from mfr.errors import DataError
from mfr.photo_folder import photos_below

FOLDER: Final = "cluster"
"""The folder in the dataset for what a clustering works with and what it shows: the working
dataset with its crops, the page, the tables."""

UNKNOWN: Final = "unknown"
"""The identity of every photo of the working dataset."""

_NOTE: Final = "photos"


@dataclass(frozen=True)
class Gathered:
    """The photos of a folder tree.

    Attributes:
        work: the directory of the working dataset.
        folder: the folder of the photos, links resolved.
        places: the path of each photo in the working manifest -> its path below the folder.
        left_out: what was not taken, by reason.
    """

    work: Path
    folder: Path
    places: dict[str, str]
    left_out: list[LeftOut]


def gather_photos(photos: str | Path, root: str | Path, *, domain: str) -> Gathered:
    """Add the photos below the folder ``photos`` to the working dataset of ``root``.

    Photos that were added by an earlier call keep their crops. Folders and file names are ignored.

    Raises:
        DataError: there is no such folder or it has no photos, the domain's name cannot be used,
            ``root`` groups photos of another folder or in another domain, or has a domain of that
            name that is not from here.
        WriteError: the dataset cannot be written.
    """
    check_domain(domain)
    root = Path(root)
    leftovers = Leftovers()
    if not Path(photos).is_dir():
        raise DataError(f"{photos} is not a folder: name the one that holds the photos.")
    folder = Path(photos).resolve()
    found = photos_below(
        folder,
        without=root,
        on_left_out=lambda reason, path: leftovers.add(reason, str(path.relative_to(folder))),
    )
    work = inside(root, FOLDER)
    _check_root(root, work, folder, domain)
    place = place_below(work)
    places = {}
    for photo in found:
        below = photo.relative_to(folder).as_posix()
        check_path(below)
        places[place(photo)] = below
    with changing_manifest(work):
        there = (work / FILE_NAME).exists()
        manifest = Manifest.read(work) if there else Manifest.empty(work)
        known = set(manifest.column("path"))
        new = [path for path in places if path not in known]
        if new or not there:
            rows = (
                {
                    "path": path,
                    "identity": UNKNOWN,
                    "domain": domain,
                    "person": UNKNOWN,
                    "source": f"cluster {folder.name}",
                }
                for path in new
            )
            note = {_NOTE: place(folder), "domain": domain}
            manifest.append(rows).with_notes(**note).write()
    return Gathered(work, folder, places, leftovers.found)


def gathered_before(root: Path) -> tuple[Manifest, str, Path]:
    """The working manifest of ``root``, its domain and the folder of its photos.

    Raises:
        DataError: no photos were grouped there.
    """
    work = inside(root, FOLDER)
    if not (work / FILE_NAME).exists():
        raise DataError(
            f"{root} has no groups of photos: make them with 'mfr data cluster PHOTOS --out "
            f"{root}'."
        )
    manifest = Manifest.read(work)
    try:
        return manifest, str(manifest.notes["domain"]), work.resolve() / manifest.notes[_NOTE]
    except KeyError as error:
        raise DataError(
            f"{work} was not made by 'mfr data cluster': choose another --out."
        ) from error


def _check_root(root: Path, work: Path, folder: Path, domain: str) -> None:
    if (work / FILE_NAME).exists():
        _, before, photos = gathered_before(root)
        if photos.resolve() != folder:
            raise DataError(
                f"{root} groups the photos of {photos.resolve()}: choose another --out for those "
                f"of {folder}."
            )
        if before != domain:
            raise DataError(
                f"{root} groups its photos in the domain '{before}': pass --domain '{before}', or "
                "choose another --out."
            )
    elif (root / FILE_NAME).exists() and domain in Manifest.read(root).domains:
        raise DataError(
            f"{root} has a domain '{domain}' with names of its own: choose another --domain, or "
            "another --out."
        )
