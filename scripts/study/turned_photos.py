"""How sure each detector is of upright and of turned faces, and which photos it then turns.

The photos are a random sample of those of LFW and of the celebrity photographs that a dataset
holds; all are taken to be upright. 'sure' is the detector's own limit (`mfr.faces.turning`).

    python -m scripts.study.turned_photos --data DATASET
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np

from mfr.data.manifest import Manifest
from mfr.faces import DETECTORS, Face, build_detector
from mfr.faces.choice import choose_faces
from mfr.faces.turning import SURE, TurningDetector
from mfr.images import read_image

_DOMAINS: Final = ("lfw", "celeb_photo")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=150, help="of each domain")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    photos: list[np.ndarray] = []
    for domain in _DOMAINS:
        paths = Manifest.read(options.data).where(domains=[domain]).photo_paths()
        chosen = rng.choice(len(paths), options.images, replace=False)
        photos += [read_image(paths[i]) for i in chosen]
    print(f"{len(photos)} photographs of {' and '.join(_DOMAINS)}.\n")
    print("| detector | turned by | sure from | sure, % | found as turned, % |")
    print("|---|---|---|---|---|")
    for name in DETECTORS.names():
        detector = build_detector(name)
        sure = getattr(detector, "sure", SURE)
        turning = TurningDetector(detector)
        for quarters in range(4):
            turned = [np.ascontiguousarray(np.rot90(photo, -quarters)) for photo in photos]
            surety = [_main(detector.detect([one])[0], one) for one in turned]
            found = [_main(turning.detect([one])[0], one) for one in turned]
            # Turning a photo back by what it was turned by makes it upright.
            right = [face is not None and face.turn == -90 * quarters % 360 for face in found]
            above = [face is not None and face.probability >= sure for face in surety]
            print(
                f"| {name} | {90 * quarters} | {sure:g} | {100 * np.mean(above):.1f} "
                f"| {100 * np.mean(right):.1f} |",
                flush=True,
            )


def _main(faces: list[Face], image: np.ndarray) -> Face | None:
    return choose_faces(faces, image, "main")[0] if faces else None


if __name__ == "__main__":
    main()
