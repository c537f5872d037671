"""The interface of every pack: encoded images with their identities, in a fixed order."""

from __future__ import annotations

import abc
import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Final

from data_tools.importing.leaving_out import Leftovers
from mfr.data.manifest import Manifest
from mfr.data.protocol import StoredProtocol
from mfr.errors import DataError

_EDGE: Final = 64 * 2**10  # bytes at a file's beginning and end that enter its fingerprint


@dataclass(frozen=True)
class PackedImage:
    """One image of a pack.

    Attributes:
        data: the encoded image as the pack holds it, not yet checked.
        identity: the identity whose face it shows.
        source: the entry for the manifest's column ``source``: the importer, the file and, if it
            has one, the image's own name.
    """

    data: bytes
    identity: str
    source: str


class Pack(abc.ABC):
    """A file, or a folder of files, that holds images of faces and their identities.

    The constructor reads enough of it to refuse anything that is not a pack of this format.

    Attributes:
        importer: the name of the format.
        whole: whether one damaged image makes the pack useless.
        judges: whether the pack provides evaluation protocols.
        path: the path that the user gave.
        files: the files of the pack, in the order in which they are read.
        reading: other settings that decide how the files are read, such as the column of the
            identity.
        total: the number of images, if it is known before they are read.
        leftovers: what was seen so far and is not taken.
    """

    importer: ClassVar[str]
    whole: ClassVar[bool] = False
    judges: ClassVar[bool] = False
    path: Path
    files: Sequence[Path]
    reading: str = ""
    total: int | None = None

    def __init__(self) -> None:
        self.leftovers = Leftovers()

    @abc.abstractmethod
    def images(self) -> Iterator[PackedImage]:
        """The images, always in the same order and read one by one.

        Raises:
            DataError: the pack is damaged or truncated, or its entry for an image is impossible.
        """

    def person(self, identity: str, domain: str) -> str | None:
        """The person behind ``identity`` when no people file gives one; None: by the name alone."""
        return None

    def protocols(self, manifest: Manifest, domain: str) -> Sequence[StoredProtocol]:
        """The evaluation protocols of a pack that ``judges``.

        Args:
            manifest: the part of the future manifest that belongs to the domain. Sorted by path,
                its rows are the images in the pack's order.
            domain: the domain's name.
        """
        return ()

    def source(self, file: Path) -> str:
        """The entry in the manifest's column ``source`` for the images of one of the files."""
        return f"{self.importer} {os.fsencode(file.name).decode(errors='replace')}"

    def fingerprint(self) -> str:
        """16 hexadecimal digits that distinguish this pack, read with these settings, from others.

        They are a hash of each file's name, size, and first and last 64 KiB, because packs are too
        large to be read completely for this.

        Raises:
            DataError: a file cannot be read.
        """
        digest = hashlib.sha256(f"{self.importer} {self.reading}".encode())
        for path in self.files:
            with open_file(path) as file:
                size = file.seek(0, os.SEEK_END)
                digest.update(b"\0%s\0%d\0" % (os.fsencode(path.name), size))
                for start in (0, max(0, size - _EDGE)):
                    file.seek(start)
                    digest.update(file.read(_EDGE))
        return digest.hexdigest()[:16]


def open_file(path: Path) -> BinaryIO:
    """Open a pack's file for reading.

    Raises:
        DataError: the file is missing, unreadable or not a regular file.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}: check the path.")
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): give yourself permission to read it."
        ) from error


def list_files(
    path: Path, suffixes: Sequence[str], leftovers: Leftovers, *, beside: Collection[str] = ()
) -> list[Path]:
    """The visible files below ``path`` with these suffixes, sorted; or ``path`` if it is a file.

    All others are left out; those with the names ``beside`` belong to the format and do not count.
    """
    if not path.is_dir():
        return [path]
    found = []
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        name = file.relative_to(path)
        if any(part.startswith(".") for part in name.parts):
            leftovers.add("hidden files", str(name))
        elif file.suffix in suffixes:
            found.append(file)
        elif file.name not in beside:
            leftovers.add(f"files that are not {' or '.join(suffixes)}", str(name))
    return found
