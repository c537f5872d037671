"""Thumbnails by which nearly the same picture is told: scaled, recompressed, a shade brighter."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mfr.geometry import CROP_SIZE

THUMBNAIL: Final = 16
"""The side, in pixels, of the thumbnails by which near duplicates are found."""

CORRELATION: Final = 0.985
"""The least correlation of two thumbnails of one picture, if a model confirms it."""

COSINE: Final = 0.9
"""The least cosine of two embeddings of one picture, recompressed or shifted by a pixel."""


def make_thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The grey thumbnail (256,) of a picture (112, 112, 3), made of means over 7 x 7 pixels.

    It has mean 0 and length 1, or is 0 if the picture is uniform.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    step = CROP_SIZE // THUMBNAIL
    small = grey.reshape(THUMBNAIL, step, THUMBNAIL, step).mean(axis=(1, 3)).ravel()
    small -= small.mean()
    length = float(np.linalg.norm(small))
    # If the standard deviation is below one grey level, there is only noise to compare.
    return small / length if length > THUMBNAIL else np.zeros_like(small)
