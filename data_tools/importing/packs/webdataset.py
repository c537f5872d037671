"""WebDataset shards: tar files in which the files of one sample follow each other and share a key.

A member's key is its name up to the first dot of its last part; the rest says what it holds. Read
are the image (one of `EXTENSIONS`) and the identity: ``.cls`` (the whole text) or else a field of
``.json``.
Members are only read from, never extracted, and no name in the tar becomes a name on the disk.
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
from data_tools.importing.packs.pack import (
    Pack,
    PackedImage,
    check_identity,
    list_files,
    open_file,
)
from mfr.errors import DataError
from mfr.images import MAX_BYTES

_MAX_KEY: Final = 1000  # characters
_END: Final = bytes(2 * tarfile.BLOCKSIZE)  # every tar ends so

_DAMAGE: Final = (tarfile.TarError, EOFError, ValueError, OverflowError, OSError, RecursionError)
"""What `tarfile` is known to raise on damaged files."""


class _Member(NamedTuple):
    """A file of a sample: the sample's key, what the file holds, and its bytes."""

    key: str
    kind: str
    data: bytes


class WebDatasetShards(Pack):
    """Images with their identities in tar shards.

    Args:
        path: one ``.tar``, or the folder that holds them (in subfolders too).
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
        """The samples shard by shard."""
        for shard in self.files:
            for key, sample in itertools.groupby(_members(shard), lambda member: member.key):
                place = f"Sample '{key}' of {shard}"
                image, identity = self._read(sample, place)
                source = f"{self.source(shard)} {key}"
                yield PackedImage(image, check_identity(identity, place), source)

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
                f"{place} holds {'several images' if images else 'no image'}, where one belongs to "
                "an identity: pack the samples anew, or copy the shard again if it is damaged."
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
            f"{place} does not say whose face it shows: it needs a .cls file with the identity, "
            f"or a .json file with the field '{self._label}' (a text or whole number; --label "
            "names another)."
        )


def _members(shard: Path) -> Iterator[_Member]:
    """The images, .cls and .json files of a tar; other files, links and devices are passed over."""
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
            # tarfile takes a damaged header for the end; only zeros may follow the last member.
            file.seek(tar.offset)
            while rest := file.read(2**20):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("more after the end")
    except _DAMAGE as error:
        raise DataError(
            f"{shard} is truncated, damaged or no plain tar file: copy it again from its source "
            "(a compressed one must be unpacked to .tar first)."
        ) from error


def _check_member(member: tarfile.TarInfo, shard: Path) -> None:
    try:
        usable = len(member.name.encode()) <= _MAX_KEY
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise DataError(
            f"{shard} has a file named {member.name[:40]!r}..., which is too long or not UTF-8: "
            "it is damaged or not meant for training."
        )
    if member.size > MAX_BYTES:
        raise DataError(
            f"{member.name!r} in {shard} is larger than the limit of {MAX_BYTES // 2**20} MiB: "
            "it is no image."
        )


class _Bounded(io.BufferedReader):
    """A file that refuses to read more at once than any image has.

    `tarfile` reads headers as long as they claim to be, which may be the whole file.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """At most ``size`` bytes, which must be said."""
        if size is None or not 0 <= size <= MAX_BYTES:
            raise tarfile.ReadError("a header larger than any image")
        return super().read(size)


def _check_end(file: BinaryIO, shard: Path) -> None:
    size = file.seek(0, 2)
    file.seek(max(0, size - len(_END)))
    if file.read() != _END:
        raise DataError(
            f"{shard} does not end as a tar file does: it is truncated or compressed; copy it "
            "again, or unpack it to .tar first."
        )
