"""Photographs that lie on their side or stand on their head, without a tag that says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from mfr.faces.choice import choose_faces
from mfr.faces.detector import Detector
from mfr.faces.face import Face

SURE: Final = 0.98
"""The probability from which on a face is taken for upright, unless the detector has a ``sure`` of
its own. With MTCNN, 97% of the upright faces of 300 photos reach it and 3 to 5% of those that are
turned (docs/results/turned-photos.md)."""


class TurningDetector:
    """A detector that also looks for turned faces in photos where no upright one is sure.

    Such a photo is searched in all four turns, and the turn with the surest main face is taken.
    Boxes and landmarks are those of the photo as it was given; `Face.turn` says how it has to be
    turned.

    Args:
        detector: what finds upright faces.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._sure: float = getattr(detector, "sure", SURE)

    @property
    def name(self) -> str:
        """The name of the detector within."""
        return self._detector.name

    @property
    def enough(self) -> int | None:
        """That of the detector within."""
        return getattr(self._detector, "enough", None)

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        """The faces of each (H, W, 3) uint8 RGB image, largest first; an empty list for none."""
        found = self._detector.detect(images)
        doubtful = [i for i, faces in enumerate(found) if _surety(faces, images[i]) < self._sure]
        for quarters in (1, 2, 3) if doubtful else ():
            turned = [np.ascontiguousarray(np.rot90(images[i], quarters)) for i in doubtful]
            for i, faces in zip(doubtful, self._detector.detect(turned), strict=True):
                back = [_turned_back(face, quarters, images[i]) for face in faces]
                if _surety(back, images[i]) >= max(self._sure, _surety(found[i], images[i])):
                    found[i] = back
        return found


def _surety(faces: Sequence[Face], image: np.ndarray) -> float:
    """The probability of the main face, 0 if there is none."""
    return choose_faces(faces, image, "main")[0].probability if faces else 0.0


def _turned_back(face: Face, quarters: int, image: np.ndarray) -> Face:
    """A face of ``np.rot90(image, quarters)``, in the pixels of ``image``."""
    corners = _points_back(face.box.reshape(2, 2), quarters, image)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return dataclasses.replace(
        face,
        box=box,
        landmarks=_points_back(face.landmarks, quarters, image),
        turn=360 - 90 * quarters,  # rot90 turns anticlockwise
    )


def _points_back(points: np.ndarray, quarters: int, image: np.ndarray) -> np.ndarray:
    x, y = points[:, 0], points[:, 1]
    right, bottom = image.shape[1] - 1, image.shape[0] - 1
    before = {1: (right - y, x), 2: (right - x, bottom - y), 3: (y, bottom - x)}
    return np.stack(before[quarters], axis=1).astype(np.float32)
