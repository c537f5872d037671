"""Verification packs of the ArcFace world: lfw.bin, cfp_fp.bin, agedb_30.bin and their like.

A pickle of (encoded images, same person or not); images 2i and 2i + 1 are pair i. This is how
InsightFace evaluates: https://github.com/deepinsight/insightface, ``verification.py``. It is
unpickled without being run (see `plain_pickle`).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from data_tools.importing.packs.pack import Pack, PackedImage, open_file
from data_tools.importing.packs.plain_pickle import PlainArray, read_plain
from mfr.data.manifest import Manifest
from mfr.data.protocol import PairProtocol
from mfr.errors import DataError

FOLDS: Final = 10

_REPEATS: Final = 16
"""How many times its own size the images of a pack may take: one image may stand in several pairs,
but a small file must not fill a disk."""


class VerificationBin(Pack):
    """Pairs of images. Who they show is not said, only whether a pair is one person.

    So each mated pair is an identity of its own and each other pair two, and one human may be
    many of them: such a domain is for its pair protocol, not for training or a gallery.

    Images may be bytes or NumPy arrays of bytes, the second list booleans, 0 and 1, NumPy booleans
    or a NumPy array of them.
    """

    importer = "bin"
    whole = True
    judges = True

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.files = [self.path]
        images, mated = _two_lists(self.path)
        self._images = [_encoded(image, number, self.path) for number, image in enumerate(images)]
        self._mated = [_boolean(value, pair, self.path) for pair, value in enumerate(mated)]
        if len(self._images) != 2 * len(self._mated):
            raise DataError(
                f"{self.path} holds {len(self._images)} images for {len(self._mated)} pairs, not "
                "two a pair: copy it again from its source."
            )
        if len(self._mated) < FOLDS:
            raise DataError(
                f"{self.path} holds {len(self._mated)} pairs: at least {FOLDS} are needed, one a "
                "fold."
            )
        if sum(map(len, self._images)) > _REPEATS * self.path.stat().st_size:
            raise DataError(
                f"{self.path} unfolds to more than {_REPEATS} times its size, as no real pack "
                "does: get it from another source."
            )
        self.total = len(self._images)

    def images(self) -> Iterator[PackedImage]:
        """Both images of the first pair, of the second, and so on."""
        source = self.source(self.path)
        digits = len(str(len(self._mated) - 1))
        for number, data in enumerate(self._images):
            pair, side = divmod(number, 2)
            letter = "" if self._mated[pair] else "ab"[side]
            yield PackedImage(data, f"{pair:0{digits}d}{letter}", source)

    def person(self, identity: str, domain: str) -> str:
        """Nobody outside the domain."""
        return f"{domain} {identity}"

    def protocols(self, manifest: Manifest, domain: str) -> list[PairProtocol]:
        """The pairs in ten folds of equal size in their order; the first may have one more."""
        paths = sorted(manifest.where(domains=[domain]).column("path"))
        folds = np.array_split(np.arange(len(self._mated)), FOLDS)
        rows = [
            (fold, paths[2 * pair], paths[2 * pair + 1], self._mated[pair])
            for fold, pairs in enumerate(folds)
            for pair in pairs
        ]
        source = self.source(self.path)
        return [PairProtocol.of(domain.replace(" ", "_"), rows, domain=domain, source=source)]


def _two_lists(path: Path) -> tuple[list[Any], list[Any]]:
    with open_file(path) as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                value = read_plain(data, str(path))
        except (ValueError, OSError) as error:  # no bytes, or no regular file
            raise DataError(
                f"{path} is empty or no regular file: copy it again from its source."
            ) from error
    if isinstance(value, (tuple, list)) and len(value) == 2:
        images, mated = value
        if isinstance(mated, PlainArray) and mated.kind == "b1":
            mated = [bool(bit) for bit in mated.data]
        if isinstance(images, (list, tuple)) and isinstance(mated, (list, tuple)):
            return list(images), list(mated)
    raise DataError(
        f"{path} does not hold a list of images and a list of booleans: it is no verification pack."
    )


def _encoded(image: Any, number: int, path: Path) -> bytes:
    if isinstance(image, PlainArray) and image.kind == "u1":
        image = image.data
    if not isinstance(image, bytes):
        raise DataError(
            f"Image {number} of {path} is not an encoded image in bytes: it is no verification "
            "pack, or of pixels, which this program does not read."
        )
    return image


def _boolean(value: Any, pair: int, path: Path) -> bool:
    if not isinstance(value, int) or value not in (0, 1):
        raise DataError(
            f"Pair {pair} of {path} is labelled {value!r:.40}, neither true nor false: copy it "
            "again from its source."
        )
    return bool(value)
