"""Which face of a photograph is meant, where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from mfr.errors import FaceError
from mfr.faces.face import Face
from mfr.faces.quality import MIN_PROBABILITY

FaceChoice = Literal["main", "largest", "central", "all"]
"""Which faces of a photo are wanted: the main one (large and near the photo's centre, see
`prominence`), the largest, the one nearest the centre, or all."""

OneFace = Literal["main", "largest", "central", "only"]
"""Which single face of a photo is wanted; 'only' refuses a photo with several faces."""

_CENTRE_WEIGHT: Final = 2.0
_ALIKE: Final = 0.5


def prominence(face: Face, image: np.ndarray) -> float:
    """How likely ``face`` is the one that ``image`` (H, W, 3) was taken of, in square pixels.

    It is the face's area less twice the squared distance of its centre from the photo's, the rule
    by which InsightFace's detectors choose (``max_num=1``, metric 'default').
    """
    return face.area - _CENTRE_WEIGHT * _distance(face, image) ** 2


def choose_faces(faces: Sequence[Face], image: np.ndarray, choice: FaceChoice) -> list[Face]:
    """Those of ``faces`` (largest first, as detected) in ``image`` that ``choice`` means."""
    if choice == "all" or len(faces) < 2:
        return list(faces)
    if choice == "largest":
        return [faces[0]]
    if choice == "central":
        return [min(faces, key=lambda face: _distance(face, image))]
    return [max(faces, key=lambda face: prominence(face, image))]


def choose_one_face(faces: Sequence[Face], image: np.ndarray, name: str, choice: OneFace) -> Face:
    """The face of ``faces`` in ``image``, called ``name`` in errors, that ``choice`` means.

    'only' overlooks what may not be a face, if there is one that surely is.

    Raises:
        FaceError: there is none, or there are several and ``choice`` is 'only'.
    """
    if not faces:
        raise FaceError(
            f"No face was found in {name}: use a sharper, upright photo with the face in view."
        )
    if choice != "only":
        return choose_faces(faces, image, choice)[0]
    sure = [face for face in faces if face.probability >= MIN_PROBABILITY] or faces
    if len(sure) > 1:
        raise FaceError(
            f"{name} has {len(sure)} faces: crop it to one, or say which with --face main, "
            "largest or central."
        )
    return sure[0]


def is_doubtful(faces: Sequence[Face], image: np.ndarray) -> bool:
    """Whether the main face of ``image`` can hardly be told.

    That is so where another is half as prominent, or all are small and far from the centre.
    """
    if len(faces) < 2:
        return False
    ranked = sorted((prominence(face, image) for face in faces), reverse=True)
    return ranked[0] <= 0 or ranked[1] > _ALIKE * ranked[0]


def _distance(face: Face, image: np.ndarray) -> float:
    """From the centre of the face's box to the photo's, in pixels."""
    centre = (np.array(image.shape[1::-1]) - 1) / 2
    return float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - centre))
