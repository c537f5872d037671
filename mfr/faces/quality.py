"""What can be said about a face before it is recognised, and when it had better not be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from mfr.errors import FaceError
from mfr.faces.face import Face
from mfr.faces.pose import fit_pose
from mfr.geometry import TEMPLATE, similarity_transform

# Measured on 300 photos of LFW and of celebrities, made smaller, blurred, dark and bright, by the
# cosine between the embeddings before and after (docs/results/face-quality.md): at these limits its
# median is 0.7 to 0.9, and 1% of the photos as they are have a face below one.
MIN_INTER_OCULAR: Final = 14.0
"""The least distance between the eyes, in pixels of the photo: a face some 32 pixels wide."""

MIN_BLUR: Final = 20.0
"""The least variance of the Laplacian: less is blurred or almost without contrast."""

_USUAL_CONTRAST: Final = 50.0
"""The standard deviation of grey levels that blur is told for, so that light does not matter."""

_LEAST_CONTRAST: Final = 8.0
"""The least that is taken for contrast: with less, what is left is noise and rounding."""

MIN_BRIGHTNESS: Final = 15.0
"""The least mean grey."""

MAX_BRIGHTNESS: Final = 233.0
"""The largest mean grey."""

# Measured on 7500 photos of the same two sources, by the share of comparisons with frontal photos
# of the person that a template of such a photo refuses at a false-match rate of 0.1% (last table of
# the same page): 6% where it is frontal itself, 15% beyond the limit of yaw, 19% beyond that of
# looking up and 50% five degrees further; looking down costs nothing. 1% of the photos lie beyond
# each. Crops are upright, so a lean costs little until the detector errs: at its limit the median
# cosine is 0.88.
MAX_YAW: Final = 35.0
"""The most degrees to either side that a face may be turned."""

MAX_UP: Final = 20.0
"""The most degrees that a face may look up; landmarks of an open mouth look like that too."""

MAX_ROLL: Final = 45.0
"""The most degrees to either side that a face may lean."""

MIN_PROBABILITY: Final = 0.9
"""The least certainty that there is a face at all."""


@dataclass(frozen=True)
class Quality:
    """Plain measures of a face and its crop.

    Attributes:
        probability: how sure the detector was, 0-1.
        inter_ocular: distance between the eyes in pixels of the photo; a crop shows 35.
        blur: variance of the Laplacian of the face, after Gaussian smoothing by 1 pixel of its
            crop, in grey levels squared were the contrast as usual; low is blurred
            (Pech-Pacheco et al., Diatom Autofocusing in Brightfield Microscopy, ICPR 2000).
        brightness: mean grey of the face, 0-255.
        yaw: degrees by which the face is turned to the viewer's right, from its landmarks
            (`mfr.faces.pose`); 90 if they are those of no face.
        pitch: degrees by which it looks down.
        roll: degrees by which it leans clockwise in the upright photo.
    """

    probability: float
    inter_ocular: float
    blur: float
    brightness: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


def measure_quality(face: Face, crop: np.ndarray) -> Quality:
    """Measure ``face`` and its ``crop`` (112, 112, 3) uint8 RGB."""
    blur, brightness = measure_crop(crop)
    return Quality(face.probability, face.inter_ocular, blur, brightness, *_measure_pose(face))


def measure_crop(crop: np.ndarray) -> tuple[float, float]:
    """Blur and brightness (see `Quality`) of a crop that need not come from a detection.

    Only the face is looked at, from above the eyes to the chin: where a crop reaches beyond its
    photo it is black, and the edge of that is sharp whatever the photo is. A little smoothing
    before keeps the blocks of JPEG and the noise of a camera from passing for detail.
    """
    height, width = crop.shape[:2]
    top, left = height // 4, width * 3 // 14
    face = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[
        top : max(height * 6 // 7, top + 1), left : max(width * 11 // 14, left + 1)
    ]
    smooth = cv2.GaussianBlur(face, (0, 0), 1.0)
    contrast = max(float(face.var()), _LEAST_CONTRAST**2)
    detail = cv2.Laplacian(smooth, cv2.CV_64F).var() * (_USUAL_CONTRAST**2 / contrast)
    return float(detail), float(face.mean())


def flaws(quality: Quality) -> list[str]:
    """Why a face is too poor to be relied on, a clause each; an empty list if it is not."""
    found = []
    if quality.probability < MIN_PROBABILITY:
        found.append(f"it may not be a face (certainty {quality.probability:.2f})")
    if quality.inter_ocular < MIN_INTER_OCULAR:
        found.append(
            f"it is too small (the eyes are {quality.inter_ocular:.1f} pixels apart; "
            f"{MIN_INTER_OCULAR:.0f} are needed)"
        )
    if quality.brightness < MIN_BRIGHTNESS:
        found.append("it is too dark")
    elif quality.brightness > MAX_BRIGHTNESS:
        found.append("it is too bright")
    elif quality.blur < MIN_BLUR:
        found.append("it is blurred or almost without contrast")
    if abs(quality.yaw) > MAX_YAW:
        found.append(f"it is turned to the side (by {abs(quality.yaw):.1f} degrees)")
    if quality.pitch < -MAX_UP:
        found.append(f"it looks up or has the mouth wide open ({-quality.pitch:.1f} degrees)")
    if abs(quality.roll) > MAX_ROLL:
        found.append(f"it leans to the side (by {abs(quality.roll):.1f} degrees)")
    return found


def _measure_pose(face: Face) -> tuple[float, float, float]:
    """Yaw, pitch and roll (see `Quality`)."""
    transform = similarity_transform(face.landmarks, TEMPLATE)
    x, y = face.landmarks[1] - face.landmarks[0]
    roll = (math.degrees(math.atan2(y, x)) + face.turn + 180) % 360 - 180
    try:
        pose = fit_pose(face.landmarks @ transform[:, :2].T + transform[:, 2])
    except FaceError:
        return 90.0, 0.0, roll
    return pose.yaw, pose.pitch, roll
