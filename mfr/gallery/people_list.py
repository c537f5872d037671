"""Whose photos are to be enrolled: a folder with a folder for each person, or a CSV file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mfr.csv_rows import read_csv
from mfr.errors import DataError, GalleryError
from mfr.gallery.names import identity_name
from mfr.images import EXTENSIONS
from mfr.photo_folder import list_folder


@dataclass(frozen=True)
class PersonPhoto:
    """A photo of a person.

    Attributes:
        identity: the person's name, as a gallery keeps it.
        path: the photo.
    """

    identity: str
    path: Path


@dataclass(frozen=True)
class Refusal:
    """A photo that was not enrolled.

    Attributes:
        photo: its path.
        identity: whose it was said to be.
        reason: why, a sentence that names the photo.
    """

    photo: str
    identity: str
    reason: str


def list_people(source: str | Path) -> tuple[list[PersonPhoto], list[Refusal]]:
    """The photos that ``source`` lists, those of one person together, and those it cannot list.

    In a folder, they are ``source/<name>/<photo>``; hidden files and those without the extension of
    an image are passed over. A CSV file has the columns path, relative to its own folder, and
    identity.

    Raises:
        DataError: there is no such folder or file, it cannot be read, or it lists no photo.
    """
    source = Path(source)
    if source.suffix.lower() == ".csv" and not source.is_dir():
        found = list(_rows(source))
    elif source.is_dir():
        found = list(_below(source))
    else:
        raise DataError(
            f"{source} is neither a folder with a folder for each person nor a .csv file: check "
            "the path."
        )
    if not found:
        raise DataError(
            f"{source} lists no photos: arrange them as {source}/NAME/PHOTO.jpg, or write a .csv "
            "file with the columns path and identity."
        )
    people: dict[str, list[PersonPhoto]] = {}
    refused = []
    for path, name, reason in found:
        try:
            if reason:
                raise GalleryError(f"{path} {reason}")
            identity = identity_name(name)
        except GalleryError as error:
            sentence = (reason and str(error)) or f"{path} cannot be enrolled: {error}"
            refused.append(Refusal(str(path), name, sentence))
        else:
            people.setdefault(identity, []).append(PersonPhoto(identity, path))
    return [photo for photos in people.values() for photo in photos], refused


def _rows(table: Path) -> Iterator[tuple[Path, str, str]]:
    for line, row in read_csv(table, ("path", "identity")):
        path = row["path"].strip()
        if path:
            yield table.parent / path, row["identity"], ""
        else:
            yield table, row["identity"], f"has no path in line {line}: fill it in."


def _below(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Path, name and, if it cannot be told whose photo it is, the reason."""
    for entry in _visible(folder):
        if not entry.is_dir():
            if _is_photo(entry):
                yield Path(entry.path), "", "lies in no person's folder: move it into one."
            continue
        for inner in _visible(Path(entry.path)):
            if _is_photo(inner) and inner.is_file():
                yield Path(inner.path), entry.name, ""
            elif inner.is_dir():
                # The user may have named a folder too high up.
                yield (
                    Path(inner.path),
                    entry.name,
                    "is a folder inside a person's folder: move its photos up, or name the folder "
                    "above them.",
                )


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    return [entry for entry in list_folder(folder) if not entry.name.startswith(".")]


def _is_photo(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower() in EXTENSIONS
