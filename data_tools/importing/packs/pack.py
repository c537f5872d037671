"""What every pack is: encoded images with their identities, in an order that never changes."""

from __future__ import annotations

import abc
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Final

from data_tools.importing.adding import person_from_identity
from mfr.data.manifest import Manifest
from mfr.data.protocol import StoredProtocol
from mfr.errors import DataError

_MAX_NAME: Final = 200  # bytes; an identity becomes a folder's name when its photos are aligned
_EDGE: Final = 64 * 2**10  # bytes of a file's beginning and end that tell it from another


@dataclass(frozen=True)
class PackedImage:
    """One image of a pack.

    Attributes:
        data: the encoded image as the pack holds it, not looked at yet.
        identity: whose face it shows.
        source: the manifest's: the importer and the file, and the image's own name if it has one.
    """

    data: bytes
    identity: str
    source: str


class Pack(abc.ABC):
    """A file, or a folder of files, that holds images of faces and says whose they are.

    Making one opens it far enough to refuse what is no such pack.

    Attributes:
        importer: its format's name.
        whole: whether one damaged image makes the pack useless.
        judges: whether it brings evaluation protocols.
        path: what the user named.
        files: what it consists of, in the order they are read.
        reading: what else decides how the files are read, such as the column of the identity.
        total: how many images it holds, where that is known before they are read.
    """

    importer: ClassVar[str]
    whole: ClassVar[bool] = False
    judges: ClassVar[bool] = False
    path: Path
    files: Sequence[Path]
    reading: str = ""
    total: int | None = None

    @abc.abstractmethod
    def images(self) -> Iterator[PackedImage]:
        """The images, always in the same order, read as they are asked for.

        Raises:
            DataError: the pack is damaged or truncated, or says something impossible of an image.
        """

    def person(self, identity: str, domain: str) -> str:
        """The human behind ``identity`` where no people file says it.

        Labels that are mere numbers name nobody outside their pack: 7 in one domain and 7 in
        another are two people. Names are taken as everywhere, one name for one human.
        """
        return f"{domain} {identity}" if identity.isdigit() else person_from_identity(identity)

    def protocols(self, manifest: Manifest, domain: str) -> Sequence[StoredProtocol]:
        """The evaluation protocols of a pack that ``judges``.

        Args:
            manifest: what the dataset will be, as far as it is of the domain; sorted by path, the
                rows are the images in the pack's order.
        """
        return ()

    def source(self, file: Path) -> str:
        """What the manifest's ``source`` says of the images of one of the files."""
        return f"{self.importer} {os.fsencode(file.name).decode(errors='replace')}"

    def fingerprint(self) -> str:
        """16 letters that tell this pack, read this way, from another.

        They come from the files' names, sizes, first and last 64 KiB: packs are too large to be
        read for that.

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
        DataError: it is missing, unreadable or no regular file.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}: check the path.")
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): give yourself permission to read it."
        ) from error


def list_files(path: Path, pattern: str) -> list[Path]:
    """``path`` itself if it is a file, or the visible files below it that match, sorted."""
    if not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.rglob(pattern)
        if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
    )


def check_identity(identity: str, place: str) -> str:
    """``identity`` if it can be kept as text and become a folder's name.

    Args:
        place: where it was read, for the sentence.

    Raises:
        DataError: empty, longer than 200 bytes, with control characters, or no Unicode.
    """
    try:
        usable = 0 < len(identity.encode()) <= _MAX_NAME and identity.isprintable()
    except UnicodeEncodeError:
        usable = False
    if not usable or identity != identity.strip():
        raise DataError(
            f"{place} has the identity {identity[:40]!r}: it must be a name of 1 to {_MAX_NAME} "
            "bytes without control characters."
        )
    return identity
