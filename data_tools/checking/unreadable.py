"""Files that are missing, damaged or not images."""

from __future__ import annotations

from data_tools.checking.finding import Case, Finding, Strip
from data_tools.checking.measuring import Measured
from mfr.data.manifest import Manifest


def find_unreadable(manifest: Manifest, measured: Measured) -> Finding:
    """Find rows whose photo or crop cannot be read; ``data`` holds the number of each."""
    paths = manifest.column("path")
    photos = [row for row, why in enumerate(measured.photo_problem) if why is not None]
    crops = [
        row
        for row, why in enumerate(measured.crop_problem)
        if why is not None and measured.photo_problem[row] is None
    ]
    cases = [
        Case(f"{paths[row]}: {measured.photo_problem[row]}", [Strip("photo", [row])])
        for row in photos
    ]
    cases += [
        Case(f"{paths[row]}: {measured.crop_problem[row]}", [Strip("photo", [row])])
        for row in crops
    ]
    return Finding(
        kind="unreadable",
        title="Unreadable images",
        severity="error",
        method="Every photo and crop was decoded.",
        advice=(
            "Copy the files again from their source. --fix drops rows whose photo cannot be read, "
            "and sends rows that lost only their crop back to 'mfr data align'."
        ),
        cases=cases,
        data={"photos": len(photos), "crops": len(crops)},
    )
