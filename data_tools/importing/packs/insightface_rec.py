"""Training packs of InsightFace: train.rec with, beside it, train.idx and property.

Besides images there may be records without one: key 0 holds (number of images + 1, end of the
identities' keys), and each identity (its first image's key, the key after its last). Their order in
the file differs between writers, so the file is read as it lies; train.idx is not needed for that.
Source: https://github.com/deepinsight/insightface, ``face2rec2.py`` and ``rec_builder.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_tools.importing.packs.pack import Pack, PackedImage, open_file
from data_tools.importing.packs.record_io import MAGIC, ImageRecord, read_image_record, read_records
from mfr.errors import DataError


class InsightFaceRec(Pack):
    """Images labelled with identities numbered from 0, in MXNet's RecordIO.

    Args:
        path: the ``.rec`` file, or the folder that holds train.rec.
    """

    importer = "rec"

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        self.path = path / "train.rec" if path.is_dir() else path
        with open_file(self.path) as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DataError(
                    f"{self.path} is no RecordIO file (it does not begin with its magic number): "
                    "name a train.rec, or the folder that holds it."
                )
        self.files = [self.path]
        self._identities = _promised_identities(self.path.with_name("property"))
        self._records = self.total = _indexed_records(self.path.with_suffix(".idx"))

    def images(self) -> Iterator[PackedImage]:
        """The images as they lie in the file.

        Raises:
            DataError: also where the header's count, train.idx or property disagree with the file.
        """
        header: ImageRecord | None = None
        images = records = 0
        source = self.source(self.path)
        for record in read_records(self.path):
            place = f"Record {records} of {self.path}"
            image = read_image_record(record, place)
            records += 1
            if not image.data and len(image.labels) == 2:
                header = header or (image if image.id == 0 or records == 1 else None)
                continue
            images += 1
            yield PackedImage(image.data, self._identity(image.labels, place), source)
        # Labels are float32, which above 2^24 holds even numbers only.
        if header is not None and np.float32(images + 1) != header.labels[0]:
            raise DataError(
                f"{self.path} promises {header.labels[0] - 1:.0f} images and holds {images}: copy "
                "it again from its source."
            )
        if self._records is not None and records != self._records:
            raise DataError(
                f"{self.path} holds {records} records and its .idx file lists {self._records}: "
                "copy both again from their source."
            )

    def _identity(self, labels: tuple[float, ...], place: str) -> str:
        label = labels[0]
        if not (label >= 0 and label.is_integer()):
            raise DataError(f"{place} is labelled {label:g}: an identity is a whole number from 0.")
        if self._identities is not None and label >= self._identities:
            raise DataError(
                f"{place} is labelled {label:.0f}, but the file property beside it says there are "
                f"{self._identities} identities: copy both again from their source."
            )
        return f"{label:.0f}"


def _promised_identities(path: Path) -> int | None:
    """The first number of the file ``property``: identities, height, width."""
    if not path.is_file():
        return None
    with open_file(path) as file:
        found = re.match(rb"\s*(\d{1,9})\s*,", file.read(64))
    if not found:
        raise DataError(
            f"{path} does not begin with the number of identities: copy it again, or remove it."
        )
    return int(found[1])


def _indexed_records(path: Path) -> int | None:
    """How many records an index lists, one a line."""
    if not path.is_file():
        return None
    with open_file(path) as file:
        return sum(1 for line in file if line.strip())
