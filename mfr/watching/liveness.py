"""Whether the face of a track is a head that turns, or a picture of one that is moved.

The optical flow on a flat picture is that of a plane, on a head it is not (Bao et al., A liveness
detection method for face recognition based on optical flow field, IASP 2009; Anjos and Marcel,
Counter-measures to photo attacks in face recognition, IJCB 2011, survey what flow can tell). Here
the flow between two aligned crops is fitted by a polynomial of second degree in x and y, which a
sheet follows that is tilted, brought nearer or bent around any axis, and by the relief of a face:
what the depth of the generic head (`mfr.simulation.head`) has beyond such a polynomial, above all
the nose. A head that turns by a small angle moves each point by its depth times the sine of the
angle, so the relief's two coefficients are these sines, about the upright and the level axis; of a
sheet they are noise.

The score is the standard deviation of the coefficients over the frames, in radians. A picture that
moves of itself, as on a screen that plays a video, has the motion of a head, and so has a mask that
is worn: neither is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import griddata

from mfr.faces.pose import fit_pose
from mfr.geometry import TEMPLATE
from mfr.simulation import head

Floats: TypeAlias = NDArray[np.float64]
Answer: TypeAlias = Literal["live", "still", "unknown"]

LIVE: Final = 0.018
"""The score from which on a face is alive; measured by scripts/study/presentation.py."""

STILL: Final = 0.014
"""The score below which it is a picture, if it has moved."""

MOVED: Final = 1.2
"""The root mean square, in pixels of the crop, of the flow beyond a similarity from which on a face
has moved: a head that does so scores above `LIVE`."""

LEAST_FRAMES: Final = 5
"""The fewest frames that tell anything."""

_X, _Y = np.meshgrid(np.arange(26.0, 88, 6), np.arange(36.0, 104, 6))
_POINTS: Final = np.column_stack([_X.ravel(), _Y.ravel()])
_CENTRE: Final = (56.0, 68.0)
_PLACES: Final = (_POINTS - _CENTRE) / 36
_SHEET: Final = np.column_stack(
    [
        np.ones(len(_PLACES)),
        _PLACES,
        _PLACES[:, 0] ** 2,
        _PLACES[:, 0] * _PLACES[:, 1],
        _PLACES[:, 1] ** 2,
    ]
)
_FLOW: Final[dict[str, Any]] = {
    "winSize": (15, 15),
    "maxLevel": 2,
    "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02),
}
_RETURN: Final = 0.3
"""The distance, in pixels, at which a point that is followed there and back counts half."""

_TEXTURE: Final = 2e-5
"""The least eigenvalue of the structure tensor at which a point counts about two thirds."""

_RELIABLE: Final = 0.6
"""The share of the points' weight that must be left of a frame."""

_ROUNDS: Final = 5


@dataclass(frozen=True)
class LiveCheck:
    """What the frames of a face tell.

    Attributes:
        answer: 'live', 'still' (a picture that was moved), or 'unknown': the face hardly turned, or
            could not be followed.
        score: the standard deviation of the angle by which the relief turns, in radians.
        frames: on how many frames the face could be followed.
    """

    answer: Answer
    score: float
    frames: int


def check(crops: Sequence[np.ndarray]) -> LiveCheck:
    """Tell a head from a picture of one, by the crops of one face in their order.

    Args:
        crops: aligned faces, (112, 112, 3) uint8 RGB each. More than a dozen, of some seconds, tell
            little more.
    """
    motions = _motions([_levelled(crop) for crop in crops])
    angles = np.array([motion.angles for motion in motions]).reshape(-1, 2)
    if len(motions) < LEAST_FRAMES:
        return LiveCheck("unknown", 0.0, len(motions))
    score = float(np.sqrt(angles.var(axis=0).sum()))
    if score >= LIVE:
        return LiveCheck("live", score, len(motions))
    largest = np.sort([motion.bending for motion in motions])[-max(1, len(motions) // 4) :]
    still = score < STILL and float(np.mean(largest)) >= MOVED
    return LiveCheck("still" if still else "unknown", score, len(motions))


@dataclass(frozen=True)
class _Motion:
    """How a face has moved since another frame.

    Attributes:
        angles: (2,) the relief's coefficients, in x and in y.
        bending: the root mean square of the rest of the flow beyond a similarity, in pixels.
    """

    angles: Floats
    bending: float


def _motions(greys: Sequence[np.ndarray]) -> list[_Motion]:
    """The motions from the middle frame to all that can be compared with it, itself included."""
    if len(greys) < LEAST_FRAMES:
        return []
    middle = len(greys) // 2
    reference = greys[middle]
    rows, columns = _POINTS[:, 1].astype(int), _POINTS[:, 0].astype(int)
    texture = cv2.cornerMinEigenVal(reference, 7)[rows, columns]
    weights = np.sqrt(texture / (texture + _TEXTURE)).astype(np.float64)
    found = [_Motion(np.zeros(2), 0.0)]
    if not weights.any():
        return found
    for order in (greys[middle + 1 :], greys[middle - 1 :: -1]):
        expected = np.zeros_like(_POINTS)
        for grey in order:
            flow, seen = _flow(reference, grey, expected)
            if (seen * weights).sum() < _RELIABLE * weights.sum():
                expected = np.zeros_like(_POINTS)
                continue
            fit = _fitted(flow, seen * weights)
            expected = _model() @ fit
            found.append(_Motion(fit[-1], _bending(fit[:-1])))
    return found


def _levelled(crop: np.ndarray) -> np.ndarray:
    """A crop in grey with the same brightness and contrast everywhere, (112, 112) uint8.

    As a head turns, the light on it changes, which would pass for motion.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), 8)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 12)) + 6
    return np.asarray(np.clip(128 + 40 * detail / contrast, 0, 255).astype(np.uint8))


def _flow(reference: np.ndarray, grey: np.ndarray, expected: Floats) -> tuple[Floats, Floats]:
    """Where the points went (n, 2), and how surely (n,), 0 to 1.

    By pyramids (Bouguet, Pyramidal implementation of the Lucas Kanade feature tracker, 2000).
    """
    start = _POINTS.astype(np.float32)[:, None]
    ahead = expected.astype(np.float32)[:, None]
    there, seen, _ = cv2.calcOpticalFlowPyrLK(reference, grey, start, start + ahead, **_FLOW)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(
        grey, reference, there, np.ascontiguousarray(there - ahead), **_FLOW
    )
    apart = np.linalg.norm(back - start, axis=2)[:, 0].astype(np.float64)
    followed = np.logical_and(np.asarray(seen), np.asarray(returned))[:, 0]
    sure = np.where(followed, 1 / (1 + (apart / _RETURN) ** 2), 0.0)
    return np.where(followed[:, None], there[:, 0].astype(np.float64) - _POINTS, 0.0), sure


def _fitted(flow: Floats, weights: Floats) -> Floats:
    """The coefficients of `_model`, (7, 2), by least squares that count outliers less."""
    model, robust = _model(), weights
    for _ in range(_ROUNDS):
        root = np.sqrt(robust)[:, None]
        fit = np.linalg.lstsq(model * root, flow * root, rcond=None)[0]
        apart = np.linalg.norm(flow - model @ fit, axis=1)
        scale = 1.5 * (np.sqrt(np.average(apart**2, weights=robust + 1e-9)) + 0.05)
        robust = weights / (1 + (apart / scale) ** 2)
    return np.asarray(fit)


def _bending(sheet: Floats) -> float:
    """How far the motion of a sheet, (6, 2), is from a similarity, in pixels."""
    along, across = (sheet[1, 0] + sheet[2, 1]) / 2, (sheet[1, 1] - sheet[2, 0]) / 2
    similarity = np.array([sheet[0], [along, across], [-across, along], *np.zeros((3, 2))])
    beyond = _SHEET @ (sheet - similarity)
    return float(np.sqrt((beyond**2).sum(axis=1).mean()))


@lru_cache(maxsize=1)
def _model() -> Floats:
    """(n, 7): the polynomials of a sheet, and the relief in pixels, at each of the points."""
    azimuth, y = np.meshgrid(np.arange(-80.0, 81, 2), np.arange(-70.0, 121, 2))
    surface = head.points_at(azimuth, y, head.face_radius(azimuth, y))
    seen = fit_pose(TEMPLATE.astype(np.float64)).to_camera(surface).reshape(-1, 3)
    depth = griddata(seen[:, :2], seen[:, 2], _POINTS)
    smooth = _SHEET @ np.linalg.lstsq(_SHEET, depth, rcond=None)[0]
    return np.column_stack([_SHEET, depth - smooth])
