"""Photo to crops: detection, the choice among several faces, alignment and quality in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mfr.errors import FaceError
from mfr.faces.align import align_face
from mfr.faces.detector import Detector
from mfr.faces.face import Face
from mfr.faces.quality import Quality, measure_quality

FaceChoice = Literal["largest", "central", "all"]
"""Which faces of a photo are wanted: the largest, the one nearest the photo's centre, or all."""

OneFace = Literal["largest", "central", "only"]
"""Which single face of a photo is wanted; 'only' refuses a photo with several faces."""


@dataclass(frozen=True)
class FaceCrop:
    """An aligned face.

    Attributes:
        crop: (112, 112, 3) uint8 RGB.
        face: where it was in the photo.
        quality: how good it is.
        detector: the name of the detector that found it.
    """

    crop: np.ndarray
    face: Face
    quality: Quality
    detector: str


class FaceCropper:
    """Makes crops of photos; several threads may share one.

    Args:
        detector: what finds the faces.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def crop(
        self, images: Sequence[np.ndarray], choice: FaceChoice = "largest"
    ) -> list[list[FaceCrop]]:
        """Crop the chosen faces of each (H, W, 3) uint8 image; an empty list for no face.

        'largest' and 'central' give at most one crop an image; 'all' gives the largest first.
        """
        found = self.detector.detect(images)
        return [
            [self._cropped(image, face) for face in choose_faces(faces, image, choice)]
            for image, faces in zip(images, found, strict=True)
        ]

    def crop_one(self, image: np.ndarray, name: str, *, choice: OneFace = "largest") -> FaceCrop:
        """Crop one face of an (H, W, 3) uint8 image. Arguments and errors as `crop_each`."""
        return self.crop_each([image], [name], choice=choice)[0]

    def crop_each(
        self, images: Sequence[np.ndarray], names: Sequence[str], *, choice: OneFace = "largest"
    ) -> list[FaceCrop]:
        """Crop one face of every image.

        Args:
            images: photos, (H, W, 3) uint8 each.
            names: what the photos are called in errors.
            choice: which face; 'only' insists that there is exactly one.

        Raises:
            FaceError: a photo has no face, or several where ``choice`` is 'only'.
        """
        found = self.detector.detect(images)
        return [
            self._cropped(image, _one_face(faces, image, name, choice))
            for image, name, faces in zip(images, names, found, strict=True)
        ]

    def _cropped(self, image: np.ndarray, face: Face) -> FaceCrop:
        crop = align_face(image, face.landmarks)
        return FaceCrop(crop, face, measure_quality(face, crop), self.detector.name)


def choose_faces(faces: Sequence[Face], image: np.ndarray, choice: FaceChoice) -> list[Face]:
    """Those of ``faces`` (largest first, as detected) in ``image`` that ``choice`` means."""
    if choice == "all":
        return list(faces)
    if choice == "largest":
        return list(faces[:1])
    centre = (np.array(image.shape[1::-1]) - 1) / 2

    def distance(face: Face) -> float:
        return float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - centre))

    return [min(faces, key=distance)] if faces else []


def _one_face(faces: Sequence[Face], image: np.ndarray, name: str, choice: OneFace) -> Face:
    if not faces:
        raise FaceError(
            f"No face was found in {name}: use a sharper, upright photo with the face in view."
        )
    if choice != "only":
        return choose_faces(faces, image, choice)[0]
    if len(faces) > 1:
        raise FaceError(f"{name} has {len(faces)} faces: crop it to one or choose --face largest.")
    return faces[0]
