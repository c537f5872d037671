"""Photos in identity folders become rows of the manifest; nothing is decoded, moved or copied."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data_tools.locking import changing_manifest
from mfr.data.manifest import FILE_NAME, Manifest
from mfr.errors import DataError

EXTENSIONS: Final = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "webp"),
        *("tif", "tiff", "gif", "ppm", "pgm", "pnm", "jp2"),
    )
)
"""Files with these extensions, in any case, are imported."""


@dataclass(frozen=True)
class ImportResult:
    """What an import found and did.

    Attributes:
        domain: its name.
        identities: folders with at least one image.
        people: humans behind them.
        images: files found.
        added: rows new in the manifest; the others were there already.
        ignored: files that are not images by their extension or lie outside identity folders.
        guessed: identities that the people file does not list (0 without one), whose person was
            derived from the name.
    """

    domain: str
    identities: int
    people: int
    images: int
    added: int
    ignored: int
    guessed: int


def import_folder(
    photos: str | Path,
    root: str | Path,
    *,
    domain: str,
    people: str | Path | None = None,
    licence: str | None = None,
) -> ImportResult:
    """Add ``photos/<identity>/<image>`` to the dataset ``root`` as one domain.

    Importing the same folder again adds only what is new. Hidden files are ignored.

    Args:
        photos: the folder of identity folders.
        root: the dataset's directory, made where it does not exist.
        domain: the domain's name.
        people: CSV with columns domain, identity, person (others are ignored), which joins one
            human's identities in several domains. Identities it does not list, and all without
            it, get `person_from_identity`.
        licence: a note kept in the manifest under ``notes['licences'][domain]``.

    Raises:
        DataError: no such folder, no image in it, a name that cannot be used, a photo that
            belongs to another domain already, or a wrong people file.
        WriteError: the dataset cannot be written.
    """
    listed, ignored = _list_photos(Path(photos))
    return _import(listed, ignored, Path(root), domain, people, licence, "folder", Path(photos))


def import_lfw(
    photos: str | Path,
    root: str | Path,
    *,
    domain: str = "lfw",
    people: str | Path | None = None,
    licence: str | None = None,
) -> ImportResult:
    """Add Labeled Faces in the Wild, checking that files are named ``<Name>/<Name>_0001.jpg``.

    The names matter: LFW's pairs refer to images by person and number. Otherwise as
    `import_folder`.

    Raises:
        DataError: also for the first file named in another way.
    """
    listed, ignored = _list_photos(Path(photos))
    for path in listed:
        if not re.fullmatch(re.escape(path.parent.name) + r"_\d{4}\.jpg", path.name):
            raise DataError(
                f"{path} is not named as LFW names its images "
                f"({path.parent.name}_0001.jpg): unpack LFW again, or use 'mfr data import folder'."
            )
    return _import(listed, ignored, Path(root), domain, people, licence, "lfw", Path(photos))


def person_from_identity(identity: str) -> str:
    """The name of the human behind an identity when nothing better is known.

    Letters and digits only, without case or accents. So one name in two domains is taken for one
    human, which errs on the safe side: nobody stands on two sides of a split. Where nothing is
    left, the identity itself.
    """
    plain = unicodedata.normalize("NFKD", identity).casefold()
    return "".join(letter for letter in plain if letter.isalnum()) or identity


def read_people(path: str | Path) -> dict[tuple[str, str], str]:
    """Read a people file: (domain, identity) -> person.

    Raises:
        DataError: missing, not CSV in UTF-8, without the columns, or with a wrong row.
    """
    path = Path(path)
    people: dict[tuple[str, str], str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lacking = {"domain", "identity", "person"} - set(reader.fieldnames or ())
            if lacking:
                raise DataError(
                    f"{path} lacks the column(s) {', '.join(sorted(lacking))}: its first line must "
                    "name domain, identity and person."
                )
            for row in reader:
                domain, identity, person = (
                    (row[name] or "").strip() for name in ("domain", "identity", "person")
                )
                if not (domain and identity and person):
                    raise DataError(
                        f"{path}, line {reader.line_num}: domain, identity or person is empty: "
                        "fill it in or remove the line."
                    )
                if people.setdefault((domain, identity), person) != person:
                    raise DataError(
                        f"{path}, line {reader.line_num}: {identity} of {domain} has another "
                        "person in an earlier line: keep one of them."
                    )
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: save it as one.") from error
    return people


def _list_photos(photos: Path) -> tuple[list[Path], int]:
    """The images in identity folders, sorted, and how many other files there are."""
    if not photos.is_dir():
        raise DataError(
            f"{photos} is not a folder: name the one that holds a folder for each identity."
        )
    # Symbolic links above the photos are followed here, so that paths relative to the dataset
    # stay right however the dataset is reached.
    photos = photos.resolve()
    listed, ignored = [], 0
    for entry in _visible(photos):
        if not entry.is_dir():
            ignored += 1
            continue
        for path in _visible(entry):
            if path.suffix.lower() in EXTENSIONS and path.is_file():
                listed.append(path)
            elif not path.is_dir():
                ignored += 1
    if not listed:
        raise DataError(
            f"{photos} has no images in identity folders: they must lie as "
            f"{photos.name}/<identity>/<image>.jpg."
        )
    return listed, ignored


def _visible(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}): give yourself permission to read it."
        ) from error
    return (entry for entry in entries if not entry.name.startswith("."))


def _import(
    listed: list[Path],
    ignored: int,
    root: Path,
    domain: str,
    people: str | Path | None,
    licence: str | None,
    importer: str,
    photos: Path,
) -> ImportResult:
    _check_domain(domain)
    known = read_people(people) if people is not None else {}
    identities = sorted({path.parent.name for path in listed})
    persons = {
        identity: known.get((domain, identity)) or person_from_identity(identity)
        for identity in identities
    }
    with changing_manifest(root):
        exists = (root / FILE_NAME).exists()
        manifest = Manifest.read(root) if exists else Manifest.empty(root)
        there = dict(zip(manifest.column("path"), manifest.column("domain"), strict=True))
        rows = []
        for path in listed:
            relative = os.path.relpath(path, root.resolve())
            _check_text(path, relative)
            if there.get(relative, domain) != domain:
                raise DataError(
                    f"{path} is in the dataset already, as domain {there[relative]}: one photo "
                    "belongs to one domain."
                )
            if relative not in there:
                identity = path.parent.name
                rows.append(
                    {
                        "path": relative,
                        "identity": identity,
                        "domain": domain,
                        "person": persons[identity],
                        "source": f"{importer} {photos.name}",
                    }
                )
        manifest = manifest.append(rows)
        if licence is not None:
            licences = {**manifest.notes.get("licences", {}), domain: licence}
            manifest = manifest.with_notes(licences=licences)
        manifest.write()
    return ImportResult(
        domain=domain,
        identities=len(identities),
        people=len(set(persons.values())),
        images=len(listed),
        added=len(rows),
        ignored=ignored,
        guessed=sum((domain, identity) not in known for identity in identities) if people else 0,
    )


def _check_domain(domain: str) -> None:
    # A domain's name becomes a folder's name and stands in comma-separated options.
    if not re.fullmatch(r"\w[\w.\- ]*", domain) or domain != domain.strip():
        raise DataError(
            f"'{domain}' cannot name a domain: use letters, digits, '_', '-' and '.', beginning "
            "with a letter or digit."
        )


def _check_text(path: Path, relative: str) -> None:
    try:
        relative.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{os.fsencode(path)!r} has a name that is not UTF-8: rename it."
        ) from error
