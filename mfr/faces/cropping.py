"""Photo to crops: detection, the choice among several faces, alignment and quality in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mfr.errors import FaceError
from mfr.faces.align import align_face
from mfr.faces.detect import Face, FaceDetector
from mfr.faces.quality import Quality, measure_quality

FaceChoice = Literal["largest", "central", "all"]
"""Which faces of a photo count: the largest, the one nearest its centre, or all."""


@dataclass(frozen=True)
class FaceCrop:
    """An aligned face: the crop (112, 112, 3) uint8 RGB, where it was, and how good it is."""

    crop: np.ndarray
    face: Face
    quality: Quality


class FaceCropper:
    """Makes crops of photos.

    Args:
        device: where the detector runs.
        detector: one to share; by default a new `FaceDetector` on ``device``.
    """

    def __init__(
        self, device: str | torch.device = "cpu", *, detector: FaceDetector | None = None
    ) -> None:
        self.detector = detector or FaceDetector(device)

    def crop(
        self, images: Sequence[np.ndarray], choice: FaceChoice = "largest"
    ) -> list[list[FaceCrop]]:
        """Crop the chosen faces of each (H, W, 3) uint8 image; an empty list where none is.

        'largest' and 'central' give at most one crop an image; 'all' gives the largest first.
        """
        found = self.detector.detect(images)
        return [
            [_cropped(image, face) for face in choose_faces(faces, image, choice)]
            for image, faces in zip(images, found, strict=True)
        ]

    def crop_one(
        self,
        image: np.ndarray,
        name: str,
        *,
        choice: Literal["largest", "central", "only"] = "largest",
    ) -> FaceCrop:
        """Crop one face of an (H, W, 3) uint8 image.

        Args:
            image: the photo.
            name: what the photo is called in errors.
            choice: 'only' insists that there is exactly one face.

        Raises:
            FaceError: no face, or several where ``choice`` is 'only'.
        """
        (faces,) = self.detector.detect([image])
        if not faces:
            raise FaceError(
                f"No face was found in {name}: use a sharper, upright photo with the face in view."
            )
        if choice == "only":
            if len(faces) > 1:
                raise FaceError(
                    f"{name} has {len(faces)} faces: crop it to one or choose --face largest."
                )
            choice = "largest"
        return _cropped(image, choose_faces(faces, image, choice)[0])


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


def _cropped(image: np.ndarray, face: Face) -> FaceCrop:
    crop = align_face(image, face.landmarks)
    return FaceCrop(crop, face, measure_quality(face, crop))
