"""How surely and how exactly each detector finds a face again in a changed photograph.

A photograph of one person is turned and made smaller, gets a mask drawn over the face, or becomes
part of a group photograph of 2 to 12 people (`scripts.lib.group_photos`). A face counts where all
detectors found it in the photograph as it was. It is found again where some face's eyes are, on
average, within half the distance between the eyes of where they should be, by the mean of the
detectors. The landmark error is the mean distance of the five landmarks from where the same
detector's, before the change, have gone to, in per cent of the distance between the eyes: it
measures how well a detector repeats itself, which is what alignment needs. "apart" is the same
distance between the landmarks of the first detector and those of this one. No face of these data
has landmarks marked by hand.

    python -m scripts.study.found_again --data DATASET
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch

from mfr.data.manifest import Manifest
from mfr.errors import FaceError
from mfr.faces import DETECTORS, Detector, Face, build_detector
from mfr.faces.choice import choose_faces
from mfr.images import read_image
from mfr.simulation.draws import Draws
from scripts.lib.changed_photos import turn_and_shrink, wear_mask
from scripts.lib.group_photos import compose_known

DEGREES: Final = 10.0
SCALE: Final = 0.7
PEOPLE: Final = 7
"""The mean number of people of the groups, by which one photograph in so many begins a group."""
_UNMOVED: Final = np.eye(2, 3)


@dataclass(frozen=True)
class Changed:
    """A changed photograph, and the photographs in it with the (2, 3) that moved their pixels."""

    image: np.ndarray
    moved: list[tuple[Path, np.ndarray]]


class Finder:
    """The main face of each photograph by each detector, found once."""

    def __init__(self, detectors: dict[str, Detector]) -> None:
        self.detectors = detectors
        self.before = cache(self._before)

    def _before(self, photo: Path) -> dict[str, Face] | None:
        image = read_image(photo)
        found: dict[str, Face] = {}
        for name, detector in self.detectors.items():
            faces = detector.detect([image])[0]
            if not faces:
                return None
            found[name] = choose_faces(faces, image, "main")[0]
        first, *others = found.values()
        same = all(_eyes_apart(first.landmarks, each.landmarks) < 0.5 for each in others)
        return found if same else None


def turned(photos: Sequence[Path], finder: Finder) -> Iterator[Changed]:
    """Each photograph turned by 10 degrees and made smaller, to 0.7 of its size."""
    for photo in photos:
        image, transform = turn_and_shrink(read_image(photo), DEGREES, SCALE)
        yield Changed(image, [(photo, transform)])


def masked(photos: Sequence[Path], finder: Finder) -> Iterator[Changed]:
    """Each photograph whose face can wear a mask, with one."""
    for photo in photos:
        before = finder.before(photo)
        if before is None:
            continue
        face = next(iter(before.values()))
        try:
            image = wear_mask(read_image(photo), face, Draws(0, f"mask {photo.name}"))
        except FaceError:
            continue
        yield Changed(image, [(photo, _UNMOVED)])


def grouped(photos: Sequence[Path], finder: Finder) -> Iterator[Changed]:
    """Group photographs, one for every seven photographs."""
    rng = random.Random(0)
    for number in range(len(photos) // PEOPLE):
        image, placed = compose_known(photos, 2 + number % 11, rng)
        yield Changed(image, [(one.photo, one.transform) for one in placed])


CHANGES: Final = {
    f"turned by {DEGREES:g} degrees, {SCALE:g} of the size": turned,
    "masks drawn": masked,
    "group photographs": grouped,
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--domains", default="lfw,celeb_photo")
    parser.add_argument("--images", type=int, default=700, help="of a domain")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    finder = Finder({name: build_detector(name) for name in DETECTORS.names()})
    print(f"OpenCV {cv2.__version__}, torch {torch.__version__}.\n")
    heads = "domain | change | detector | faces | found again, % | other faces, a photograph | "
    heads += "landmark error, %: median | of 95% below | apart, %: median"
    print(f"| {heads} |\n" + "|---" * (heads.count("|") + 1) + "|")
    rng = np.random.default_rng(0)
    for domain in options.domains.split(","):
        paths = Manifest.read(options.data).where(domains=[domain]).photo_paths()
        rows = rng.choice(len(paths), min(options.images, len(paths)), replace=False)
        photos = [Path(paths[row]) for row in np.sort(rows)]
        for change, make in CHANGES.items():
            for line in _lines(list(make(photos, finder)), finder):
                print(f"| {domain} | {change} | {line} |", flush=True)


def _lines(changed: Sequence[Changed], finder: Finder) -> Iterator[str]:
    first: dict[tuple[int, int], np.ndarray] = {}
    for name, detector in finder.detectors.items():
        faces = others = 0
        errors: list[float] = []
        apart: list[float] = []
        for number, photo in enumerate(changed):
            after = detector.detect([photo.image])[0]
            used = set()
            for place, (path, transform) in enumerate(photo.moved):
                before = finder.before(path)
                if before is None:
                    continue
                faces += 1
                there = {key: _moved(face.landmarks, transform) for key, face in before.items()}
                expected = np.mean(list(there.values()), axis=0)
                near = [_eyes_apart(expected, face.landmarks) for face in after]
                if not near or min(near) >= 0.5:
                    continue
                closest = int(np.argmin(near))
                used.add(closest)
                found = after[closest].landmarks
                errors.append(_apart(there[name], found))
                known = first.setdefault((number, place), found)
                apart.append(_apart(known, found))
            others += len(after) - len(used)
        cells = [name, str(faces), f"{100 * len(errors) / faces:.1f}"]
        cells += [f"{others / len(changed):.2f}", f"{100 * np.median(errors):.1f}"]
        cells += [f"{100 * np.quantile(errors, 0.95):.1f}", f"{100 * np.median(apart):.1f}"]
        yield " | ".join(cells)


def _moved(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    return np.asarray(points @ transform[:, :2].T + transform[:, 2])


def _between_eyes(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[1] - points[0]))


def _eyes_apart(points: np.ndarray, others: np.ndarray) -> float:
    """How far apart the eyes of two faces are, in distances between the eyes of the first."""
    distance = np.linalg.norm(points[:2] - others[:2], axis=1).mean()
    return float(distance) / _between_eyes(points)


def _apart(points: np.ndarray, others: np.ndarray) -> float:
    """How far apart the landmarks of two faces are, in distances between the first's eyes."""
    return float(np.linalg.norm(points - others, axis=1).mean()) / _between_eyes(points)


if __name__ == "__main__":
    main()
