"""A face found in a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Face:
    """One detected face, in pixels of the photo.

    Attributes:
        box: (4,) float32: x0, y0, x1, y1; it may reach beyond the photo.
        probability: how sure the detector is, 0-1.
        landmarks: (5, 2) float32 x, y: the eyes, the tip of the nose and the corners of the mouth,
            in the order of `mfr.geometry.TEMPLATE`.
        turn: by how many degrees clockwise the photo has to be turned for the face to be upright:
            0, 90, 180 or 270.
    """

    box: np.ndarray
    probability: float
    landmarks: np.ndarray
    turn: int = 0

    @property
    def area(self) -> float:
        """The area of the box, in square pixels."""
        width, height = self.box[2:] - self.box[:2]
        return float(width * height)

    @property
    def inter_ocular(self) -> float:
        """The distance between the eyes, in pixels."""
        return float(np.linalg.norm(self.landmarks[1] - self.landmarks[0]))
