"""Photo to crops: detection, the choice among several faces, alignment and quality in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mfr.errors import FaceError
from mfr.faces.align import align_face, cut_face
from mfr.faces.choice import FaceChoice, OneFace, choose_faces, choose_one_face, is_doubtful
from mfr.faces.detector import Detector
from mfr.faces.face import Face
from mfr.faces.quality import Quality, measure_quality
from mfr.geometry import CropGeometry


@dataclass(frozen=True)
class FaceCrop:
    """An aligned face.

    Attributes:
        crop: (112, 112, 3) uint8 RGB.
        chip: the face as the cropper's geometry places it, cut from the photo: (height, width, 3)
            uint8 RGB; None where the geometry goes by the crop.
        face: where it was in the photo.
        quality: how good it is.
        detector: the name of the detector that found it.
        faces: how many faces the photo shows.
        doubtful: whether another face of the photo may be meant as well (`is_doubtful`).
    """

    crop: np.ndarray
    chip: np.ndarray | None
    face: Face
    quality: Quality
    detector: str
    faces: int = 1
    doubtful: bool = False


class FaceCropper:
    """Makes crops of photos; several threads may share one.

    Args:
        detector: what finds the faces.
        geometry: of the network that the faces are for, if it is to be given chips.
    """

    def __init__(self, detector: Detector, geometry: CropGeometry | None = None) -> None:
        self.detector = detector
        self._geometry = geometry

    def crop(
        self, images: Sequence[np.ndarray], choice: FaceChoice = "main"
    ) -> list[list[FaceCrop]]:
        """Crop the chosen faces of each (H, W, 3) uint8 image; an empty list for no face.

        'all' gives the largest first, none of them doubtful, as all are meant; the other choices
        give at most one crop an image.
        """
        found = self.detector.detect(images)
        return [
            [
                self._cropped(
                    image, face, faces, doubtful=choice != "all" and is_doubtful(faces, image)
                )
                for face in choose_faces(faces, image, choice)
            ]
            for image, faces in zip(images, found, strict=True)
        ]

    def crop_one(self, image: np.ndarray, name: str, *, choice: OneFace = "main") -> FaceCrop:
        """Crop one face of an (H, W, 3) uint8 image. Arguments and errors as `crop_each`."""
        return self.crop_each([image], [name], choice=choice)[0]

    def crop_each(
        self, images: Sequence[np.ndarray], names: Sequence[str], *, choice: OneFace = "main"
    ) -> list[FaceCrop]:
        """Crop one face of every image.

        Args:
            images: photos, (H, W, 3) uint8 each.
            names: what the photos are called in errors.
            choice: which face; 'only' insists that there is exactly one.

        Raises:
            FaceError: a photo has no face, or several where ``choice`` is 'only'.
        """
        crops = []
        for each in self.try_each(images, names, choice=choice):
            if isinstance(each, FaceError):
                raise each
            crops.append(each)
        return crops

    def try_each(
        self, images: Sequence[np.ndarray], names: Sequence[str], *, choice: OneFace = "main"
    ) -> list[FaceCrop | FaceError]:
        """Crop one face of every image; a photo without such a face gives its error instead.

        Arguments as `crop_each`.
        """
        found = self.detector.detect(images)
        return [
            self._attempt(image, name, faces, choice)
            for image, name, faces in zip(images, names, found, strict=True)
        ]

    def _attempt(
        self, image: np.ndarray, name: str, faces: Sequence[Face], choice: OneFace
    ) -> FaceCrop | FaceError:
        try:
            face = choose_one_face(faces, image, name, choice)
            return self._cropped(image, face, faces, doubtful=is_doubtful(faces, image))
        except FaceError as error:
            return error

    def _cropped(
        self, image: np.ndarray, face: Face, faces: Sequence[Face], *, doubtful: bool
    ) -> FaceCrop:
        crop = align_face(image, face.landmarks)
        return FaceCrop(
            crop,
            self._chip(image, face),
            face,
            measure_quality(face, crop),
            self.detector.name,
            len(faces),
            doubtful,
        )

    def _chip(self, image: np.ndarray, face: Face) -> np.ndarray | None:
        geometry = self._geometry
        if geometry is None or geometry.template is None:
            return None
        template = np.array(geometry.template)
        return cut_face(image, face.landmarks, template, (geometry.width, geometry.height))
