"""Faces found in a reduced photo: where they are in the photo, and the pixels to cut them from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from mfr.errors import ImageError
from mfr.faces.face import Face
from mfr.geometry import similarity_transform
from mfr.images import ReducedPhoto

SearchedPhoto: TypeAlias = np.ndarray | ReducedPhoto
"""What faces are looked for in: (H, W, 3) uint8 RGB, or a photo that was decoded reduced."""


def searched_pixels(photo: SearchedPhoto) -> np.ndarray:
    """The pixels that a detector is given, (h, w, 3) uint8 RGB."""
    return photo.pixels if isinstance(photo, ReducedPhoto) else photo


def pixels_held(photo: SearchedPhoto) -> int:
    """As how many pixels a photo takes memory, its file included where that is kept."""
    pixels = searched_pixels(photo)
    file = len(photo.data) // 3 if isinstance(photo, ReducedPhoto) else 0
    return pixels.shape[0] * pixels.shape[1] + file


def whole_pixels(photo: SearchedPhoto) -> np.ndarray:
    """All pixels of a photo, (H, W, 3) uint8 RGB, or those that it was reduced to.

    The latter are what there is of a file made to be costly, which passed at the reduced size only.
    """
    try:
        return photo.whole() if isinstance(photo, ReducedPhoto) else photo
    except ImageError:
        return searched_pixels(photo)


def in_photo(face: Face, photo: SearchedPhoto) -> Face:
    """A face that was found in `searched_pixels`, in pixels of the whole photo."""
    if not isinstance(photo, ReducedPhoto):
        return face
    factor, origin = np.float32(photo.factor), np.array(photo.origin, np.float32)
    corners = face.box.reshape(2, 2) * factor + origin
    return replace(face, box=corners.reshape(4), landmarks=face.landmarks * factor + origin)


def pixels_to_cut(
    photo: SearchedPhoto, faces: Sequence[Face], templates: Sequence[np.ndarray]
) -> tuple[np.ndarray, list[Face]]:
    """The pixels to cut ``faces`` from, and the faces in these pixels.

    A face is cut from a reduced photo where that has as many pixels of it as the cut shows, or
    more. Where one of the faces has fewer, the photo is decoded whole.

    Args:
        photo: the photo.
        faces: as they were found in `searched_pixels`.
        templates: (5, 2) x, y each, where the landmarks of a cut stand.

    Raises:
        FaceError: landmarks give no similarity.
    """
    pixels = searched_pixels(photo)
    if not isinstance(photo, ReducedPhoto) or all(
        _magnification(face, template) <= 1 for face in faces for template in templates
    ):
        return pixels, list(faces)
    whole = whole_pixels(photo)
    if whole is pixels:
        return pixels, list(faces)
    return whole, [in_photo(face, photo) for face in faces]


def _magnification(face: Face, template: np.ndarray) -> float:
    scale = similarity_transform(face.landmarks, template)[0]
    return float(np.hypot(scale[0], scale[1]))
