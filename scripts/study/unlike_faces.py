"""Does a model say so when it meets faces unlike those that it was measured on?

The model was made from drawn people, by 'mfr quickstart', and calibrated on its validation people.
Printed are the shares of faces that are called unlike all that was measured: of the drawn test
people of each domain, and of faces in photographs and caricatures that
`scripts.study.default_calibration` has kept.

    mfr quickstart --out OUT
    python -m scripts.study.unlike_faces MODEL --data OUT/dataset --kept KEPT
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.data.loading import load_crops
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.faces.appearance import describe_appearance

PHOTOS: Final = {
    "LFW": "lfw",
    "celebrity photographs": "celeb_photo",
    "caricatures": "celeb_caricature",
    "Extended Yale B": "yaleb",
}
MOST: Final = 1000


def main() -> None:
    """Print a row for each domain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kept", type=Path, required=True)
    options = parser.parse_args()
    calibration = Encoder.load(options.model).calibration
    assert calibration is not None and calibration.looks is not None, "calibrate the model first"
    print(f"Measured on {calibration.usual.told}.\n")
    print("| faces | looked at | called unlike, % |\n|---|---|---|")
    for name, crops in _faces(options.data, options.kept):
        unlike = calibration.looks.unlike(describe_appearance(crops))
        print(f"| {name} | {len(crops)} | {100 * unlike.mean():.1f} |")


def _faces(data: Path, kept: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    manifest = Manifest.read(data)
    for domain in manifest.domains:
        rows = manifest.where(domains=[domain], splits=["test"], cropped=True)
        yield f"drawn: {domain}", load_crops(rows)[:MOST]
    for name, domain in PHOTOS.items():
        with np.load(kept / f"{domain}.npz") as arrays:
            crops = arrays["crops"]
        yield name, crops[:: max(1, len(crops) // MOST)]


if __name__ == "__main__":
    main()
