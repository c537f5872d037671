"""The pose of a face in its crop: the generic head, fitted to five landmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.errors import FaceError

Floats = NDArray[np.float64]

LANDMARKS: Final = np.array(
    [
        [-32.0, 0.0, 4.0],
        [32.0, 0.0, 4.0],
        [0.0, 37.0, 37.0],
        [-26.0, 70.0, 6.0],
        [26.0, 70.0, 6.0],
    ]
)
"""Pupils, nose tip and corners of the mouth of a generic head, (5, 3), in the order of
`mfr.geometry.TEMPLATE`.

In millimetres of an adult face: x points to the viewer's right, y down from the line between the
pupils, and z towards the viewer. A plain average after usual facial proportions (interpupillary
distance 64 mm); no real head was measured.
"""
LANDMARKS.setflags(write=False)

_PRIOR: Final = np.array([40.0, 10.0, 20.0, 0.5, 1e3, 1e3, 0.07, 6.0])
"""The prior standard deviations of the eight parameters of `_projected`: five points determine
pitch, nose length and face length poorly, and these would trade off against one another."""

_NOISE: Final = 1.0
"""The standard deviation of a landmark's coordinate in pixels of the crop."""

_PRECISION: Final = np.diag(_PRIOR**-2)

_ROUNDS: Final = 6
_SETTLED: Final = 1e-2
"""Steps that are smaller than this, in degrees, pixels or millimetres, are not followed by more."""


@dataclass(frozen=True)
class Pose:
    """A weak-perspective view of the generic head.

    Attributes:
        yaw: degrees; positive where the face is turned to the viewer's right.
        pitch: degrees; positive where it looks down.
        roll: degrees; positive where it leans clockwise.
        scale: pixels per millimetre.
        shift: (2,) x, y in the crop of the origin of the head's coordinates, between the pupils.
        length: the length of the face below the pupils, as a multiple of the generic one.
        nose: how much further the nose tip stands out than the generic one, in millimetres.
        residual: the root mean square distance in pixels between the landmarks and those of the
            head in this view.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift: Floats
    length: float
    nose: float
    residual: float

    def to_camera(self, points: Floats) -> Floats:
        """Map points of the head (..., 3), in millimetres, to x, y and depth, all in pixels.

        Depth grows towards the viewer.
        """
        points = points * (1, 1, 1)
        points[..., 1] *= np.where(points[..., 1] > 0, self.length, 1)
        turned = points @ (self.scale * _rotation(self.yaw, self.pitch, self.roll)).T
        turned[..., :2] += self.shift
        return np.asarray(turned)


def fit_pose(landmarks: Floats) -> Pose:
    """The view in which the generic head's landmarks come closest to those of a face.

    The fit is by Gauss-Newton steps, with Gaussian priors on the parameters that five points hardly
    determine (see `_PRIOR`).

    Args:
        landmarks: (5, 2) in pixels of an aligned crop.

    Raises:
        FaceError: the landmarks are not finite or coincide, or no pose of a face explains them.
    """
    if not np.isfinite(landmarks).all():
        raise FaceError("These landmarks are not finite numbers: detect the face again.")
    eyes = landmarks[1] - landmarks[0]
    if np.hypot(*eyes) < 1:
        raise FaceError("These landmarks coincide: detect the face again.")
    roll = np.degrees(np.arctan2(eyes[1], eyes[0]))
    middle = landmarks[:2].mean(axis=0)
    drop = np.linalg.norm(landmarks[3:].mean(axis=0) - middle)
    scale = max(drop / LANDMARKS[3, 1], np.hypot(*eyes) / (2 * LANDMARKS[1, 0]))
    # If the nose is nearer to one eye than to the other, the head is turned to that side.
    across = (landmarks[2] - middle) @ eyes / np.hypot(*eyes)
    yaw = np.degrees(np.arcsin(np.clip(across / (scale * LANDMARKS[2, 2]), -0.9, 0.9)))
    now = np.array([yaw, 0, roll, np.log(scale), *middle, 0, 0])
    centre = np.array([0, 0, roll, np.log(scale), *middle, 0, 0])
    for _ in range(_ROUNDS):
        shown, slopes = _projected(now)
        normal = slopes @ slopes.T / _NOISE**2 + _PRECISION
        wrong = slopes @ (shown - landmarks.ravel()) / _NOISE**2 + (now - centre) / _PRIOR**2
        step = np.linalg.solve(normal, wrong)
        now = now - step
        now[:3] = np.clip(now[:3], -89, 89) if abs(roll) < 80 else now[:3]
        if np.abs(step).max() < _SETTLED:
            break
    apart = (_projected(now)[0] - landmarks.ravel()).reshape(5, 2)
    residual = float(np.sqrt((apart**2).sum(axis=1).mean()))
    if not np.isfinite(residual):
        raise FaceError("These landmarks fit no pose of a face: detect the face again.")
    yaw, pitch, roll, log_scale, x, y, length, nose = now.tolist()
    return Pose(
        *(yaw, pitch, roll, np.exp(log_scale), np.array([x, y]), np.exp(length), nose),
        residual=residual,
    )


def _projected(parameters: Floats) -> tuple[Floats, Floats]:
    """The landmarks (10,) of parameters (8,), and their derivatives by the parameters (8, 10).

    The parameters are yaw, pitch and roll in degrees, the logarithm of the scale, x and y of the
    shift, the logarithm of the face length, and the nose length in millimetres (see `Pose`).
    """
    yaw, pitch, roll, log_scale, x, y, length, nose = parameters.tolist()
    points = LANDMARKS.copy()
    points[2, 2] += nose
    points[:, 1] *= math.exp(length)
    scale = math.exp(log_scale)
    # The first two rows of the rotation and of its derivatives: what comes to lie in the picture.
    views = scale * _rotation_and_slopes(yaw, pitch, roll)
    turned = (points @ views.reshape(8, 3).T).reshape(5, 4, 2)
    slopes = np.zeros((8, 5, 2))
    slopes[:3] = turned[:, 1:].transpose(1, 0, 2)
    slopes[3] = turned[:, 0]
    slopes[4, :, 0] = slopes[5, :, 1] = 1
    slopes[6] = points[:, 1, None] * views[0, :, 1]
    slopes[7, 2] = views[0, :, 2]
    return (turned[:, 0] + (x, y)).ravel(), slopes.reshape(8, 10)


def _rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """The rotation matrix (3, 3) that applies yaw, then pitch, then roll, in degrees."""
    (sy, cy), (sp, cp), (sr, cr) = (_sine_and_cosine(angle) for angle in (yaw, pitch, roll))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(lean @ nod @ turn)


def _rotation_and_slopes(yaw: float, pitch: float, roll: float) -> Floats:
    """(4, 2, 3): two rows of `_rotation`, and their derivatives by yaw, pitch and roll in degrees.

    It is written out, as this is what the fit spends its time on.
    """
    (sy, cy), (sp, cp), (sr, cr) = (_sine_and_cosine(angle) for angle in (yaw, pitch, roll))
    a, b = sr * sp, cr * sp
    upper = cr * cy + a * sy, -sr * cp, cr * sy - a * cy
    lower = sr * cy - b * sy, cr * cp, sr * sy + b * cy
    found = np.array(
        [
            [upper, lower],
            [(-upper[2], 0, upper[0]), (-lower[2], 0, lower[0])],
            [(sr * cp * sy, sr * sp, -sr * cp * cy), (-cr * cp * sy, -cr * sp, cr * cp * cy)],
            [(-lower[0], -lower[1], -lower[2]), upper],
        ]
    )
    found[1:] *= math.pi / 180
    return found


def _sine_and_cosine(degrees: float) -> tuple[float, float]:
    radians = math.radians(degrees)
    return math.sin(radians), math.cos(radians)
