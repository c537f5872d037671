"""The pose of a face in its crop: the generic head, fitted to five landmarks."""

from __future__ import annotations

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
"""The prior standard deviations of the eight parameters of `_project`: five points determine pitch,
nose length and face length poorly, and these would trade off against one another."""

_NOISE: Final = 1.0
"""The standard deviation of a landmark's coordinate in pixels of the crop."""

_ROUNDS: Final = 6
_DELTA: Final = np.array([0.1, 0.1, 0.1, 1e-3, 0.1, 0.1, 1e-3, 0.1])


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
    start = np.array([yaw, 0, roll, np.log(scale), *middle, 0, 0])
    centre = np.array([0, 0, roll, np.log(scale), *middle, 0, 0])
    steps = np.vstack([np.zeros(8), np.diag(_DELTA)])
    now = start
    for _ in range(_ROUNDS):
        views = _project(now + steps)
        jacobian = ((views[1:] - views[0]) / _DELTA[:, None]).T / _NOISE
        wrong = (views[0] - landmarks.ravel()) / _NOISE
        normal = jacobian.T @ jacobian + np.diag(_PRIOR**-2)
        now = now - np.linalg.solve(normal, jacobian.T @ wrong + (now - centre) / _PRIOR**2)
        now[:3] = np.clip(now[:3], -89, 89) if abs(roll) < 80 else now[:3]
    apart = (_project(now[None])[0] - landmarks.ravel()).reshape(5, 2)
    residual = float(np.sqrt((apart**2).sum(axis=1).mean()))
    if not np.isfinite(residual):
        raise FaceError("These landmarks fit no pose of a face: detect the face again.")
    yaw, pitch, roll, log_scale, x, y, length, nose = now.tolist()
    return Pose(
        *(yaw, pitch, roll, np.exp(log_scale), np.array([x, y]), np.exp(length), nose),
        residual=residual,
    )


def _project(parameters: Floats) -> Floats:
    """The landmarks (n, 10) for n sets of parameters (n, 8).

    The parameters are yaw, pitch and roll in degrees, the logarithm of the scale, x and y of the
    shift, the logarithm of the face length, and the nose length in millimetres (see `Pose`).
    """
    yaw, pitch, roll, log_scale, x, y, length, nose = parameters.T
    points = np.repeat(LANDMARKS[None], len(parameters), axis=0)
    points[:, 2, 2] += nose
    points[:, :, 1] *= np.exp(length)[:, None]
    turned = np.einsum("npj,nij->npi", points, _rotation(yaw, pitch, roll)[:, :2])
    placed = np.exp(log_scale)[:, None, None] * turned + np.stack([x, y], axis=1)[:, None]
    return placed.reshape(len(parameters), 10)


def _rotation(yaw: float | Floats, pitch: float | Floats, roll: float | Floats) -> Floats:
    """The rotation matrices (..., 3, 3) that apply yaw, then pitch, then roll, in degrees."""
    (sy, cy), (sp, cp), (sr, cr) = (
        (np.sin(np.radians(a)), np.cos(np.radians(a))) for a in (yaw, pitch, roll)
    )
    zero, one = np.zeros_like(sy), np.ones_like(sy)
    turn = np.array([[cy, zero, sy], [zero, one, zero], [-sy, zero, cy]])
    nod = np.array([[one, zero, zero], [zero, cp, sp], [zero, -sp, cp]])
    lean = np.array([[cr, -sr, zero], [sr, cr, zero], [zero, zero, one]])
    product = np.einsum("ij...,jk...,kl...->...il", lean, nod, turn)
    return np.asarray(product)
