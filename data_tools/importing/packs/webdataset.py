"""WebDataset shards: tar files in which the files of one sample follow each other and share a key.

A member's key is its path up to the first dot of the file name; the rest of the name gives the
kind of its content. Two kinds are read: the image (one of `EXTENSIONS`), and the identity, which
is the whole text of the ``.cls`` file or else a field of the ``.json`` file.
Members are only read, never extracted, and no name in the tar file is used as a name on disk.
Source: https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from data_tools.importing.folder import EXTENSIONS
from data_tools.importing.names import check_name
from data_tools.importing.packs.pack import (
    Pack,
    PackedImage,
    list_files,
    open_file,
)
from mfr.errors import DataError
from mfr.images import MAX_BYTES

_MAX_KEY: Final = 1000  # characters
_END: Final = bytes(2 * tarfile.BLOCKSIZE)  # the last bytes of every tar file

_DAMAGE: Final = (tarfile.TarError, EOFError, ValueError, OverflowError, OSError, RecursionError)
"""The exceptions that `tarfile` is known to raise for damaged files."""


class _Member(NamedTuple):
    """A file of a sample: the sample's key, the kind of content, and the bytes."""

    key: str
    kind: str
    data: bytes


class WebDatasetShards(Pack):
    """Images with their identities in tar shards.

    Args:
        path: one ``.tar`` file, or a folder that holds them, possibly in subfolders.
        label: the field of the ``.json`` files that names the identity.
    """

    importer = "webdataset"

    def __init__(self, path: str | Path, *, label: str = "identity") -> None:
        self.path = Path(path)
        self.files = list_files(self.path, "*.tar")
        self._label = self.reading = label
        if not self.files:
            raise DataError(f"{self.path} holds no .tar file: name the folder of the shards.")
        for shard in self.files:
            with open_file(shard) as file:
                _check_end(file, shard)

    def images(self) -> Iterator[PackedImage]:
        """The images of all samples, shard by shard."""
        for shard in self.files:
            for key, sample in itertools.groupby(_members(shard), lambda member: member.key):
                place = f"Sample '{key}' of {shard}"
                image, identity = self._read(sample, place)
                source = f"{self.source(shard)} {key}"
                yield PackedImage(image, check_name(identity, "identity", place), source)

    def _read(self, sample: Iterable[_Member], place: str) -> tuple[bytes, str]:
        """The image and the identity of a sample."""
        images, parts = [], {}
        for member in sample:
            if member.kind in ("cls", "json"):
                parts[member.kind] = member.data
            else:
                images.append(member.data)
            if len(images) > 1:
                break
        if len(images) != 1:
            raise DataError(
                f"{place} holds {'several images' if images else 'no image'} instead of one: pack "
                "the samples again, or copy the shard again if it is damaged."
            )
        try:
            if "cls" in parts:
                return images[0], parts["cls"].decode().strip()
            if "json" in parts:
                value = json.loads(parts["json"])[self._label]
                if isinstance(value, (str, int)) and not isinstance(value, bool):
                    return images[0], str(value)
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        raise DataError(
            f"{place} does not name an identity: give it a .cls file with the identity, or a .json "
            f"file with the field '{self._label}' (a text or a whole number; --label names another "
            "field)."
        )


def _members(shard: Path) -> Iterator[_Member]:
    """The images, .cls and .json files of a tar file; everything else in it is passed over."""
    try:
        with (
            _Bounded(io.FileIO(shard)) as file,
            tarfile.open(fileobj=file, mode="r:") as tar,
        ):
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # or all would stay in memory
                folder, slash, last = info.name.rpartition("/")
                key, _, kind = last.partition(".")
                kind = kind.lower()
                if info.isreg() and (kind in ("cls", "json") or f".{kind}" in EXTENSIONS):
                    _check_member(info, shard)
                    content = tar.extractfile(info)
                    assert content is not None  # of a regular file
                    yield _Member(folder + slash + key, kind, content.read())
            # tarfile mistakes a damaged header for the end, so check that only zeros follow.
            file.seek(tar.offset)
            while rest := file.read(2**20):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("more after the end")
    except _DAMAGE as error:
        raise DataError(
            f"{shard} is truncated, damaged or not an uncompressed tar file: copy it again from "
            "its source, and decompress it to .tar if it is compressed."
        ) from error


def _check_member(member: tarfile.TarInfo, shard: Path) -> None:
    try:
        usable = len(member.name.encode()) <= _MAX_KEY
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise DataError(
            f"{shard} has a file named {member.name[:40]!r}..., which is too long or not UTF-8, "
            "so it is damaged or not a shard of samples: copy it again from its source."
        )
    if member.size > MAX_BYTES:
        raise DataError(
            f"{member.name!r} in {shard} is larger than the limit of {MAX_BYTES // 2**20} MiB for "
            "an image: remove it."
        )


class _Bounded(io.BufferedReader):
    """A file that refuses to read more bytes at once than the largest image has.

    `tarfile` reads a header of whatever length the header gives, which may be the whole file.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most ``size`` bytes; the size is mandatory."""
        if size is None or not 0 <= size <= MAX_BYTES:
            raise tarfile.ReadError("a header larger than any image")
        return super().read(size)


def _check_end(file: BinaryIO, shard: Path) -> None:
    size = file.seek(0, 2)
    file.seek(max(0, size - len(_END)))
    if file.read() != _END:
        raise DataError(
            f"{shard} does not end as a tar file does, so it is truncated or compressed: copy it "
            "again, or decompress it to .tar first."
        )
