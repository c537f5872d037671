"""Photographs changed in a known way, so that it is known where the face's landmarks have gone."""

from __future__ import annotations

import cv2
import numpy as np

from mfr.faces import Face, align_face
from mfr.geometry import TEMPLATE, similarity_transform
from mfr.simulation.draws import Draws
from mfr.simulation.mask_drawing import draw_mask
from mfr.simulation.pose_in_crop import pose_in_crop


def turn_and_shrink(
    image: np.ndarray, degrees: float, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """``image`` turned about its middle and made smaller, and the (2, 3) that did it."""
    height, width = image.shape[:2]
    transform = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    changed = cv2.warpAffine(image, transform, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(changed), np.asarray(transform)


def wear_mask(image: np.ndarray, face: Face, draws: Draws) -> np.ndarray:
    """``image`` with a mask drawn on ``face``, the rest as it was.

    Raises:
        FaceError: the face is too extreme or too doubtful to wear one (`pose_in_crop`).
    """
    row = {"landmarks": face.landmarks, "path": "", "crop": None, "probability": face.probability}
    transform = similarity_transform(face.landmarks, TEMPLATE)
    crop = align_face(image, face.landmarks)
    worn = draw_mask(crop, pose_in_crop(row), draws)
    share = cv2.GaussianBlur(worn.touched.astype(np.float32), (0, 0), 0.7)
    size = image.shape[1::-1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(worn.crop, transform, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(share, transform, size, flags=flags)[..., None]
    return np.rint(image + share * (drawn - image.astype(np.float32))).astype(np.uint8)
