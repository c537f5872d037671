"""An overview of a dataset: its people and images by domain and split, and a sheet of its crops."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from mfr import atomic
from mfr.data.loading import load_crop
from mfr.data.manifest import Manifest
from mfr.errors import DataError
from mfr.geometry import CROP_SIZE

_LABEL_HEIGHT: Final = 18
_LABEL_WIDTH: Final = 150


@dataclass(frozen=True)
class Part:
    """The part of one domain that belongs to one side of the split.

    Attributes:
        domain: the name of the domain.
        split: 'train', 'val' or 'test'; 'none' before the dataset is split.
        people: the number of people in this part.
        images: the number of images of them.
        detected: photos in which a face was detected and aligned.
        resized: photos that were resized as a whole, because no face was found in them.
        given: images that came as crops, already aligned or drawn by their source.
        missed: photos that were examined and have no crop.
        pending: photos that have not been examined yet. These five add up to ``images``.
        images_per_person: the median number of images of one person.
    """

    domain: str
    split: str
    people: int
    images: int
    detected: int
    resized: int
    given: int
    missed: int
    pending: int
    images_per_person: float


def inspect_dataset(root: str | Path) -> list[Part]:
    """Count the dataset ``root`` by domain and side of the split.

    Raises:
        DataError: there is no dataset, or its manifest is invalid.
    """
    manifest = Manifest.read(root)
    people: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    ways: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    columns = ("domain", "split", "person", "alignment")
    for domain, split, person, alignment in zip(
        *(manifest.column(name) for name in columns), strict=True
    ):
        part = (domain, split or "none")
        people[part][person] += 1
        ways[part][alignment] += 1
    order = ("train", "val", "test", "none")
    return [
        Part(
            domain=part[0],
            split=part[1],
            people=len(people[part]),
            images=sum(people[part].values()),
            detected=ways[part]["detected"],
            resized=ways[part]["resized"],
            given=ways[part]["given"],
            missed=ways[part]["missed"],
            pending=ways[part]["pending"],
            images_per_person=float(statistics.median(people[part].values())),
        )
        for part in sorted(people, key=lambda part: (part[0], order.index(part[1])))
    ]


def draw_contact_sheet(
    root: str | Path, out: str | Path, *, columns: int = 12, seed: int = 0
) -> None:
    """Draw a picture of some crops of every domain, with one labelled row for each domain.

    The extension of ``out`` decides whether the picture is a PNG or a JPEG.

    Args:
        root: the dataset's directory.
        out: the file to write.
        columns: the number of crops in a row.
        seed: selects the crops; the same seed shows the same crops.

    Raises:
        DataError: there is no dataset, it has no crops, a crop is missing or damaged, or ``out``
            has an extension other than .png, .jpg and .jpeg.
        WriteError: the picture cannot be written.
    """
    if Path(out).suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise DataError(f"{out} must be a .png or .jpg picture: give it that extension.")
    manifest = Manifest.read(root)
    if not len(manifest.where(cropped=True)):
        raise DataError(f"{root} has no crops to show: {manifest.why_no_crops()}.")
    manifest = manifest.where(cropped=True)
    domains = manifest.domains
    row_height = CROP_SIZE + _LABEL_HEIGHT
    sheet = Image.new(
        "RGB", (_LABEL_WIDTH + columns * CROP_SIZE, len(domains) * row_height), "white"
    )
    pen = ImageDraw.Draw(sheet)
    generator = np.random.default_rng(seed)
    for number, domain in enumerate(domains):
        rows = manifest.where(domains=[domain])
        top = number * row_height
        pen.text((6, top + CROP_SIZE // 2), f"{domain}\n{len(rows)} crops", fill="black")
        paths, alignments = rows.crop_paths(), rows.column("alignment")
        identities = rows.column("identity")
        chosen = generator.choice(len(rows), size=min(columns, len(rows)), replace=False)
        for column, position in enumerate(sorted(chosen.tolist())):
            left = _LABEL_WIDTH + column * CROP_SIZE
            sheet.paste(Image.fromarray(load_crop(paths[position])), (left, top))
            # A star marks whole photos, which were resized because no face was found, so that
            # they are not taken for aligned crops.
            mark = "*" if alignments[position] == "resized" else ""
            label = f"{mark}{identities[position]}"[:18]
            pen.text((left + 2, top + CROP_SIZE + 2), _ascii(label), fill="black")
    with atomic.replacing(out) as temporary:
        sheet.save(temporary)


def _ascii(text: str) -> str:
    """``text`` with a question mark for each character that Pillow's built-in font lacks."""
    return text.encode("ascii", "replace").decode()
