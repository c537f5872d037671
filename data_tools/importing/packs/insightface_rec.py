"""Training packs of InsightFace: train.rec, with train.idx and property beside it.

The file may also have records without an image. The record with key 0 holds (number of images + 1,
end of the identities' keys), and the record of each identity holds (the key of its first image, the
key after that of its last). Programs write the records in different orders, so the file is read
from its beginning to its end, for which train.idx is not needed.
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
        super().__init__()
        path = Path(path)
        self.path = path / "train.rec" if path.is_dir() else path
        with open_file(self.path) as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DataError(
                    f"{self.path} is not a RecordIO file (it does not begin with the magic "
                    "number): name a train.rec, or the folder that holds it."
                )
        self.files = [self.path]
        self._identities = _promised_identities(self.path.with_name("property"))
        self._records = self.total = _indexed_records(self.path.with_suffix(".idx"))

    def images(self) -> Iterator[PackedImage]:
        """The images, in the order of the file.

        Raises:
            DataError: for the reasons that `Pack.images` gives, and also if the count in the
                header, train.idx or property disagrees with the file.
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
        # Labels are float32 numbers, among which there are only even ones above 2^24.
        if header is not None and np.float32(images + 1) != header.labels[0]:
            raise DataError(
                f"{self.path} should hold {header.labels[0] - 1:.0f} images by its header, but "
                f"holds {images}: copy it again from its source."
            )
        if self._records is not None and records != self._records:
            raise DataError(
                f"{self.path} holds {records} records, but its .idx file lists {self._records}: "
                "copy both again from their source."
            )

    def _identity(self, labels: tuple[float, ...], place: str) -> str:
        label = labels[0]
        if not (label >= 0 and label.is_integer()):
            raise DataError(
                f"{place} is labelled {label:g}, but an identity is a whole number from 0: copy "
                "the pack again from its source."
            )
        if self._identities is not None and label >= self._identities:
            raise DataError(
                f"{place} is labelled {label:.0f}, but by the file 'property' beside it there are "
                f"{self._identities} identities: copy both again from their source."
            )
        return f"{label:.0f}"


def _promised_identities(path: Path) -> int | None:
    """The number of identities, which the file ``property`` gives before height and width."""
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
    """The number of records that an index lists, one on each line."""
    if not path.is_file():
        return None
    with open_file(path) as file:
        return sum(1 for line in file if line.strip())
