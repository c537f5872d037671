"""From five landmarks to a crop: the least-squares similarity, and a warp that does not alias."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from mfr.errors import FaceError
from mfr.geometry import CROP_SIZE, TEMPLATE

_MARGIN: Final = 2
"""Source pixels kept around the part of the photo a crop shows, for interpolation at its rim."""


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, uniform scale and shift that bring ``source`` closest to ``target``.

    The closed form of Umeyama (Least-Squares Estimation of Transformation Parameters Between Two
    Point Patterns, TPAMI 1991), which in the plane needs no SVD: with the centred points as
    complex numbers p and q, the best factor (scale and angle in one) is sum(conj(p) q) / sum|p|^2.
    A product with a complex number never mirrors, so neither does the result.

    Args:
        source: (n, 2) x, y.
        target: (n, 2) x, y.

    Returns:
        (2, 3) float64 [[a, -b, x], [b, a, y]], to be applied to column vectors (x, y, 1).

    Raises:
        FaceError: the points are not finite, or coincide, so that no similarity follows from them.
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    finite = np.isfinite(source).all() and np.isfinite(target).all()
    p = (source - source_mean) @ (1, 1j) if finite else np.zeros(1)
    spread = np.vdot(p, p).real
    factor = np.vdot(p, (target - target_mean) @ (1, 1j)) / spread if spread > 0 else 0j
    if factor == 0:
        raise FaceError("These landmarks coincide or are not numbers: detect the face again.")
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def align_face(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Cut out a face so that its landmarks lie on `mfr.geometry.TEMPLATE`.

    Bilinear interpolation looks at four pixels only, so a face shrunk to less than half its size
    would alias (moire on hair and cloth, jagged eyes). Such a face is first averaged down by a
    whole number of pixels, which leaves the warp a scale between 1/2 and 1. What lies outside the
    photo is black.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (5, 2) x, y in pixels of ``image``.

    Returns:
        (112, 112, 3) uint8.

    Raises:
        FaceError: the landmarks give no similarity.
    """
    transform = similarity_transform(landmarks, TEMPLATE)
    part, origin = _part_shown(image, transform)
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
    crop = cv2.warpAffine(part, transform, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_LINEAR)
    return np.asarray(crop)


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


def _part_shown(image: np.ndarray, transform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of ``image`` that a crop can show and its upper left corner (x, y).

    It keeps the shrinking cheap, and sides below the 32767 pixels OpenCV's warp can address.
    """
    corners = np.array([[0, 0], [0, CROP_SIZE], [CROP_SIZE, 0], [CROP_SIZE, CROP_SIZE]], float)
    inside = np.linalg.solve(transform[:, :2], (corners - transform[:, 2]).T).T
    scale = np.hypot(transform[0, 0], transform[1, 0])
    margin = _MARGIN * max(1.0, 1 / scale)
    size = np.array(image.shape[1::-1])
    first = np.clip(np.floor(inside.min(axis=0) - margin), 0, size - 1).astype(int)
    last = np.clip(np.ceil(inside.max(axis=0) + margin), first + 1, size).astype(int)
    return image[first[1] : last[1], first[0] : last[0]], first


def _moved(transform: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """The same transform for an image whose pixel (0, 0) was ``origin`` before."""
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ origin
    return moved
