"""From five landmarks to an upright face of a given size, by a warp that does not alias."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from mfr.geometry import CROP_SIZE, TEMPLATE, similarity_transform

_MARGIN: Final = 2
"""Source pixels kept around the part of the photo a crop shows, for interpolation at its rim."""


def align_face(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The crop of a face: its landmarks lie on `mfr.geometry.TEMPLATE`.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (5, 2) x, y in pixels of ``image``.

    Returns:
        (112, 112, 3) uint8; what lies outside the photo is black.

    Raises:
        FaceError: the landmarks give no similarity.
    """
    return cut_face(image, landmarks, TEMPLATE, (CROP_SIZE, CROP_SIZE))


def cut_face(
    image: np.ndarray, landmarks: np.ndarray, template: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Cut out a face so that its landmarks lie on ``template``.

    Bilinear interpolation looks at four pixels only, so a face shrunk to less than half its size
    would alias (moire on hair and cloth, jagged eyes). Such a face is first averaged down by a
    whole number of pixels, which leaves the warp a scale between 1/2 and 1. What lies outside the
    photo is black.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (5, 2) x, y in pixels of ``image``.
        template: (5, 2) x, y in pixels of the result.
        size: (width, height) of the result, in pixels.

    Returns:
        (height, width, 3) uint8.

    Raises:
        FaceError: the landmarks give no similarity.
    """
    transform = similarity_transform(landmarks, template)
    part, origin = _part_shown(image, transform, size)
    transform = _moved(transform, origin)
    shrink = int(1 / np.hypot(transform[0, 0], transform[1, 0]))
    if shrink >= 2 and min(part.shape[:2]) >= shrink:
        height, width = part.shape[0] // shrink, part.shape[1] // shrink
        part = cv2.resize(
            part[: height * shrink, : width * shrink],
            (width, height),
            interpolation=cv2.INTER_AREA,
        )
        # Pixel i of the smaller image is centred on pixel shrink * i + (shrink - 1) / 2.
        transform = _moved(transform, np.full(2, (shrink - 1) / 2))
        transform[:, :2] *= shrink
    return np.asarray(cv2.warpAffine(part, transform, size, flags=cv2.INTER_LINEAR))


def resize_whole(image: np.ndarray) -> np.ndarray:
    """The whole image as a crop: its sides keep their proportion, the rest is black.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (112, 112, 3) uint8.
    """
    height, width = image.shape[:2]
    scale = CROP_SIZE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    inner = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (CROP_SIZE - size[0]) // 2, (CROP_SIZE - size[1]) // 2
    crop = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
    crop[top : top + size[1], left : left + size[0]] = inner
    return crop


def _part_shown(
    image: np.ndarray, transform: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The part of ``image`` that a result of ``size`` can show and its upper left corner (x, y).

    It keeps the shrinking cheap, and sides below the 32767 pixels OpenCV's warp can address.
    """
    width, height = size
    corners = np.array([[0, 0], [0, height], [width, 0], [width, height]], float)
    inside = np.linalg.solve(transform[:, :2], (corners - transform[:, 2]).T).T
    scale = np.hypot(transform[0, 0], transform[1, 0])
    margin = _MARGIN * max(1.0, 1 / scale)
    whole = np.array(image.shape[1::-1])
    first = np.clip(np.floor(inside.min(axis=0) - margin), 0, whole - 1).astype(int)
    last = np.clip(np.ceil(inside.max(axis=0) + margin), first + 1, whole).astype(int)
    return image[first[1] : last[1], first[0] : last[0]], first


def _moved(transform: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """The same transform for an image whose pixel (0, 0) was ``origin`` before."""
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ origin
    return moved
