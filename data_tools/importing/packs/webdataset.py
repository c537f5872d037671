"""WebDataset shards: tar files in which the files of one sample follow each other and share a key.

A member's key is its path up to the first dot of the file name; the rest of the name ends in the
kind of its content. Two kinds are read: the image (one of `EXTENSIONS`), and the identity, which is
the whole text of the ``.cls`` file or else a field of the ``.json`` file. Where names have more
dots, as ``ann.v0.jpg`` and ``ann.v0.cls`` do, the files of one key that are alike up to the last
dot are a sample. All other members are counted and named.
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

from data_tools.importing.leaving_out import Leftovers
from data_tools.importing.names import check_name, shown
from data_tools.importing.packs.limits import check_size
from data_tools.importing.packs.pack import (
    Pack,
    PackedImage,
    list_files,
    open_file,
)
from mfr.errors import DataError
from mfr.images import EXTENSIONS, MAX_BYTES

_LABELS: Final = ("cls", "json")
_MAX_KEY: Final = 1000  # characters
_MAX_SAMPLE: Final = 4 * MAX_BYTES
_END: Final = bytes(2 * tarfile.BLOCKSIZE)  # the last bytes of every tar file

_DAMAGE: Final = (tarfile.TarError, EOFError, ValueError, OverflowError, OSError, RecursionError)
"""The exceptions that `tarfile` is known to raise for damaged files."""


class _Member(NamedTuple):
    """A file of a sample: the sample's key, its name up to the kind, the kind, and the bytes."""

    key: str
    stem: str
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
        super().__init__()
        self.path = Path(path)
        self.files = list_files(self.path, (".tar",), self.leftovers)
        self._label = self.reading = label
        if not self.files:
            raise DataError(f"{self.path} holds no .tar file: name the folder of the shards.")
        for shard in self.files:
            with open_file(shard) as file:
                _check_end(file, shard)

    def images(self) -> Iterator[PackedImage]:
        """The images of all samples, shard by shard."""
        for shard in self.files:
            members = _members(shard, self.leftovers)
            for key, of_key in itertools.groupby(members, lambda member: member.key):
                samples = _by_stem(of_key, f"Sample {shown(key)} of {shard}")
                whole = any(map(_is_whole, samples.values()))
                for stem, sample in samples.items():
                    if whole and not _is_whole(sample):
                        self._leave(stem, sample)
                        continue
                    place = f"Sample {shown(stem)} of {shard}"
                    image, identity = self._read(sample, place)
                    source = f"{self.source(shard)} {stem}"
                    yield PackedImage(image, check_name(identity, "identity", place), source)

    def _leave(self, stem: str, sample: Iterable[_Member]) -> None:
        for member in sample:
            self.leftovers.add("further fields of samples", f"{stem}.{member.kind}")

    def _read(self, sample: Iterable[_Member], place: str) -> tuple[bytes, str]:
        """The image and the identity of a sample."""
        images = [member.data for member in sample if member.kind not in _LABELS]
        parts = {member.kind: member.data for member in sample if member.kind in _LABELS}
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


def _by_stem(members: Iterable[_Member], place: str) -> dict[str, list[_Member]]:
    """The members of one key, those together that are alike up to the last dot."""
    samples: dict[str, list[_Member]] = {}
    size = 0
    for member in members:
        size += len(member.data)
        if size > _MAX_SAMPLE:
            raise DataError(
                f"{place} is larger than the limit of {_MAX_SAMPLE // 2**20} MiB for the files of "
                "one key: pack the samples again, each with a key of its own."
            )
        samples.setdefault(member.stem, []).append(member)
    return samples


def _is_whole(sample: Iterable[_Member]) -> bool:
    """Whether it has an image and something that may name the identity."""
    return {member.kind in _LABELS for member in sample} == {True, False}


def _members(shard: Path, leftovers: Leftovers) -> Iterator[_Member]:
    """The images, .cls and .json files of a tar file; everything else in it is left out."""
    try:
        with (
            _Bounded(io.FileIO(shard)) as file,
            tarfile.open(fileobj=file, mode="r:") as tar,
        ):
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # or all would stay in memory
                last = info.name.rpartition("/")[2]
                kind = last.rpartition(".")[2].lower()
                if info.isdir():
                    continue
                if not info.isreg():
                    leftovers.add("links and special files", info.name[:_MAX_KEY])
                elif "." not in last or not (kind in _LABELS or f".{kind}" in EXTENSIONS):
                    leftovers.add("files of other kinds", info.name[:_MAX_KEY])
                else:
                    _check_member(info, shard)
                    content = tar.extractfile(info)
                    assert content is not None  # of a regular file
                    key = info.name[: len(info.name) - len(last)] + last.partition(".")[0]
                    stem = info.name.rpartition(".")[0]
                    yield _Member(key, stem, kind, content.read())
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
    if member.issparse():  # its holes take no room in the archive, but would on disk
        raise DataError(f"{member.name!r} in {shard} is sparse, as no image is: remove it.")
    check_size(member.size, f"{member.name!r} in {shard}")


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
