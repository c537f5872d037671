"""A look at a dataset: who is in it, on which side, and what the crops look like."""

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
    """One side of one domain.

    Attributes:
        domain: its name.
        split: 'train', 'val', 'test', or 'none' before the split.
        people: humans in it.
        images: photos of them.
        detected: photos whose face was found and aligned.
        resized: photos whose crop is the whole photo, as no face was found.
        given: crops that came as crops: aligned or drawn by their origin.
        missed: photos that were looked at and have no crop.
        images_per_person: the median.
    """

    domain: str
    split: str
    people: int
    images: int
    detected: int
    resized: int
    given: int
    missed: int
    images_per_person: float


def inspect_dataset(root: str | Path) -> list[Part]:
    """Count the dataset ``root`` by domain and side of the split.

    Raises:
        DataError: no dataset, or its manifest is wrong.
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
            images_per_person=float(statistics.median(people[part].values())),
        )
        for part in sorted(people, key=lambda part: (part[0], order.index(part[1])))
    ]


def draw_contact_sheet(
    root: str | Path, out: str | Path, *, columns: int = 12, seed: int = 0
) -> None:
    """Draw crops of every domain, a labelled row each, as a PNG or JPEG (by ``out``'s extension).

    Args:
        root: the dataset's directory.
        out: the picture.
        columns: crops a row.
        seed: which crops; the same seed shows the same ones.

    Raises:
        DataError: no dataset, no crop in it, a crop file is missing, or ``out`` has an extension
            of another kind.
        WriteError: the picture cannot be written.
    """
    if Path(out).suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise DataError(f"{out} must be a .png or .jpg picture: give it that extension.")
    manifest = Manifest.read(root).where(cropped=True)
    if not len(manifest):
        raise DataError(f"{root} has no crops to show: run 'mfr data align' first.")
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
            # Whole photos resized for want of a face are marked, so that they are not mistaken.
            mark = "*" if alignments[position] == "resized" else ""
            label = f"{mark}{identities[position]}"[:18]
            pen.text((left + 2, top + CROP_SIZE + 2), _ascii(label), fill="black")
    with atomic.replacing(out) as temporary:
        sheet.save(temporary)


def _ascii(text: str) -> str:
    """``text`` in the letters that Pillow's built-in font has."""
    return text.encode("ascii", "replace").decode()
