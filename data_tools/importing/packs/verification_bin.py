"""The verification packs that ArcFace uses: lfw.bin, cfp_fp.bin, agedb_30.bin and the like.

Such a file is a pickle of two lists: the encoded images, and for each pair whether it shows one
person. Images 2i and 2i + 1 are pair i. InsightFace evaluates models on these packs:
https://github.com/deepinsight/insightface, ``verification.py``. The pickle is read without being
run (see `plain_pickle`).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from data_tools.importing.names import own_person
from data_tools.importing.packs.limits import REPEATS, unfolds
from data_tools.importing.packs.pack import Pack, PackedImage, open_file
from data_tools.importing.packs.plain_pickle import PlainArray, read_plain
from mfr.data.manifest import Manifest
from mfr.data.protocol import PairProtocol
from mfr.errors import DataError

FOLDS: Final = 10

_LARGEST_LABEL: Final = 8  # bytes


class VerificationBin(Pack):
    """Pairs of images, each recorded as one person or two, without naming the people.

    Each mated pair therefore becomes one identity and each non-mated pair becomes two, and the
    same person may be behind many of these identities. Such a domain is meant for its pair
    protocol, not for training or for a gallery.

    Images may be bytes or NumPy arrays of bytes. The second list may hold booleans, 0 and 1, or
    NumPy's booleans and whole numbers, or be a NumPy array of these.
    """

    importer = "bin"
    whole = True
    judges = True

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        self.files = [self.path]
        images, mated = _two_lists(self.path)
        self._images = [_encoded(image, number, self.path) for number, image in enumerate(images)]
        self._mated = [_boolean(value, pair, self.path) for pair, value in enumerate(mated)]
        if len(self._images) != 2 * len(self._mated):
            raise DataError(
                f"{self.path} holds {len(self._images)} images for {len(self._mated)} pairs, not "
                "two for each: copy it again from its source."
            )
        if len(self._mated) < FOLDS:
            raise DataError(
                f"{self.path} holds {len(self._mated)} pairs, but needs at least {FOLDS}, one for "
                "each fold: name another pack."
            )
        if sum(map(len, self._images)) > REPEATS * self.path.stat().st_size:
            raise unfolds(self.path)
        self.total = len(self._images)

    def images(self) -> Iterator[PackedImage]:
        """The two images of the first pair, then those of the second, and so on."""
        source = self.source(self.path)
        digits = len(str(len(self._mated) - 1))
        for number, data in enumerate(self._images):
            pair, side = divmod(number, 2)
            letter = "" if self._mated[pair] else "ab"[side]
            yield PackedImage(data, f"{pair:0{digits}d}{letter}", source)

    def person(self, identity: str, domain: str) -> str:
        """A person of this domain alone, because the pack does not name its people."""
        return own_person(domain, identity)

    def protocols(self, manifest: Manifest, domain: str) -> list[PairProtocol]:
        """The protocol of all pairs, in order, in ten folds whose sizes differ by one at most."""
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
        except (ValueError, OSError) as error:  # an empty file, or not a regular file
            raise DataError(
                f"{path} is empty or not a regular file: copy it again from its source."
            ) from error
    if isinstance(value, (tuple, list)) and len(value) == 2:
        images, mated = value
        if isinstance(mated, PlainArray) and isinstance(images, (list, tuple)):
            mated = _values(mated, len(images), path)
        if isinstance(images, (list, tuple)) and isinstance(mated, (list, tuple)):
            return list(images), list(mated)
    raise DataError(
        f"{path} does not hold a list of images and a list of booleans, so it is not a "
        "verification pack: name another file."
    )


def _values(labels: PlainArray, most: int, path: Path) -> list[int]:
    try:
        if len(labels.data) <= _LARGEST_LABEL * most:
            return labels.values()
    except ValueError:
        pass
    raise DataError(
        f"{path} has labels that are cut short, or more of them than images: copy it again from "
        "its source."
    )


def _encoded(image: Any, number: int, path: Path) -> bytes:
    if isinstance(image, PlainArray) and image.kind == "u1":
        image = image.data
    if not isinstance(image, bytes):
        raise DataError(
            f"Image {number} of {path} is not an encoded image in bytes: name a verification pack, "
            "and one of encoded images rather than of pixels."
        )
    return image


def _boolean(value: Any, pair: int, path: Path) -> bool:
    if not isinstance(value, int) or value not in (0, 1):
        raise DataError(
            f"Pair {pair} of {path} is labelled {value!r:.40}, which is neither true nor false: "
            "copy the pack again from its source."
        )
    return bool(value)
