"""What can be said about a face before it is recognised."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mfr.faces.face import Face


@dataclass(frozen=True)
class Quality:
    """Four plain measures of a face and its crop.

    Attributes:
        probability: how sure the detector was, 0-1.
        inter_ocular: distance between the eyes in pixels of the photo; a crop shows 35.
        blur: variance of the Laplacian of the crop in grey levels squared; low is blurred
            (Pech-Pacheco et al., Diatom Autofocusing in Brightfield Microscopy, ICPR 2000).
        brightness: mean grey of the crop, 0-255.
    """

    probability: float
    inter_ocular: float
    blur: float
    brightness: float


def measure_quality(face: Face, crop: np.ndarray) -> Quality:
    """Measure ``face`` and its ``crop`` (112, 112, 3) uint8 RGB."""
    blur, brightness = measure_crop(crop)
    return Quality(face.probability, face.inter_ocular, blur, brightness)


def measure_crop(crop: np.ndarray) -> tuple[float, float]:
    """Blur and brightness (see `Quality`) of a crop that need not come from a detection."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var()), float(grey.mean())
