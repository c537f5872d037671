"""The report of a check as one self-contained web page without scripts or external resources."""

from __future__ import annotations

from importlib import resources
from typing import Final

import numpy as np

from data_tools.checking.finding import Case, Finding
from data_tools.checking.measuring import Measured
from mfr.benchmark.page import make_environment
from mfr.benchmark.pictures import jpeg_in_base64
from mfr.data.loading import load_crop
from mfr.data.manifest import Manifest
from mfr.errors import MfrError
from mfr.faces.align import resize_whole
from mfr.images import read_image

SHOWN_CASES: Final = 12
"""The most cases of a finding that are shown; report.json holds all cases."""

SHOWN_PICTURES: Final = 5
"""The most pictures of a strip that are shown, spread evenly over it."""


def render(manifest: Manifest, measured: Measured, findings: list[Finding], created: str) -> str:
    """Render the page; everything that comes from the dataset is escaped."""
    source = resources.files("data_tools.checking").joinpath("page.html.j2")
    pictures: dict[int, str | None] = {}

    def picture(row: int) -> str | None:
        if row not in pictures:
            pictures[row] = _picture(manifest, row)
        return pictures[row]

    return (
        make_environment()
        .from_string(source.read_text(encoding="utf-8"))
        .render(
            name=manifest.root.resolve().name,
            images=len(manifest),
            embedded=len(measured.embedded),
            created=created,
            findings=findings,
            paths=manifest.column("path"),
            picture=picture,
            shown=SHOWN_CASES,
            some=_some,
        )
    )


def _some(case: Case) -> list[tuple[str, int, list[int]]]:
    """The label, size and a few rows of each strip, the first and last row among them."""
    strips = []
    for strip in case.strips:
        count = min(len(strip.rows), SHOWN_PICTURES)
        chosen = np.linspace(0, len(strip.rows) - 1, count).round().astype(int)
        strips.append((strip.label, len(strip.rows), [strip.rows[i] for i in chosen]))
    return strips


def _picture(manifest: Manifest, row: int) -> str | None:
    """The crop, or the photo if there is no crop, as a JPEG in base64; None if unreadable."""
    crop = manifest.table["crop"][row].as_py()
    photo = manifest.root / manifest.table["path"][row].as_py()
    try:
        pixels = (
            resize_whole(read_image(photo)) if crop is None else load_crop(manifest.root / crop)
        )
    except MfrError:
        return None
    return jpeg_in_base64(pixels, quality=80)
