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
from mfr.faces.large_photo import SearchedPhoto, in_photo, pixels_to_cut, searched_pixels
from mfr.faces.quality import Quality, measure_quality
from mfr.geometry import TEMPLATE, CropGeometry


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
        template = None if geometry is None else geometry.template
        self._chip_template = None if template is None else np.array(template)
        self._templates = [TEMPLATE, *([] if template is None else [np.array(template)])]

    @property
    def enough(self) -> int | None:
        """How many pixels of a photo's short side the detector needs; None if it may be all."""
        return getattr(self.detector, "enough", None)

    def crop(
        self, images: Sequence[SearchedPhoto], choice: FaceChoice = "main"
    ) -> list[list[FaceCrop]]:
        """Crop the chosen faces of each (H, W, 3) uint8 image; an empty list for no face.

        'all' gives the largest first, none of them doubtful, as all are meant; the other choices
        give at most one crop an image.
        """
        found = self.detector.detect([searched_pixels(image) for image in images])
        return [
            self._cropped(
                image,
                choose_faces(faces, searched_pixels(image), choice),
                faces,
                doubtful=choice != "all" and is_doubtful(faces, searched_pixels(image)),
            )
            for image, faces in zip(images, found, strict=True)
        ]

    def crop_one(self, image: np.ndarray, name: str, *, choice: OneFace = "main") -> FaceCrop:
        """Crop one face of an (H, W, 3) uint8 image. Arguments and errors as `crop_each`."""
        return self.crop_each([image], [name], choice=choice)[0]

    def crop_each(
        self, images: Sequence[SearchedPhoto], names: Sequence[str], *, choice: OneFace = "main"
    ) -> list[FaceCrop]:
        """Crop one face of every image.

        Args:
            images: photos, (H, W, 3) uint8 each, or decoded reduced.
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
        self, images: Sequence[SearchedPhoto], names: Sequence[str], *, choice: OneFace = "main"
    ) -> list[FaceCrop | FaceError]:
        """Crop one face of every image; a photo without such a face gives its error instead.

        Arguments as `crop_each`.
        """
        found = self.detector.detect([searched_pixels(image) for image in images])
        return [
            self._attempt(image, name, faces, choice)
            for image, name, faces in zip(images, names, found, strict=True)
        ]

    def _attempt(
        self, image: SearchedPhoto, name: str, faces: Sequence[Face], choice: OneFace
    ) -> FaceCrop | FaceError:
        pixels = searched_pixels(image)
        try:
            face = choose_one_face(faces, pixels, name, choice)
            return self._cropped(image, [face], faces, doubtful=is_doubtful(faces, pixels))[0]
        except FaceError as error:
            return error

    def _cropped(
        self, image: SearchedPhoto, chosen: Sequence[Face], faces: Sequence[Face], *, doubtful: bool
    ) -> list[FaceCrop]:
        pixels, there = pixels_to_cut(image, chosen, self._templates)
        crops = []
        for face, cut in zip(chosen, there, strict=True):
            crop, shown = align_face(pixels, cut.landmarks), in_photo(face, image)
            quality = measure_quality(shown, crop)
            chip = self._chip(pixels, cut)
            crops.append(
                FaceCrop(crop, chip, shown, quality, self.detector.name, len(faces), doubtful)
            )
        return crops

    def _chip(self, pixels: np.ndarray, face: Face) -> np.ndarray | None:
        if self._chip_template is None or self._geometry is None:
            return None
        size = (self._geometry.width, self._geometry.height)
        return cut_face(pixels, face.landmarks, self._chip_template, size)
