"""A generic head in three dimensions, which shows where things worn on a face lie.

Lengths are millimetres of an adult face: x points to the viewer's right, y down from the line
between the pupils, and z towards the viewer. The surface is given by its distance from a vertical
axis 60 mm behind the pupils, as a function of the azimuth (0 degrees at the middle of the face, 90
at the ears) and the height. It is a plain average that was drawn freehand after usual facial
proportions (interpupillary distance 64 mm, pupils to chin 118 mm, width at the cheekbones 140 mm);
no real head was measured.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import map_coordinates
from scipy.spatial import ConvexHull

Floats = NDArray[np.float64]

AXIS: Final = -60.0
"""The z of the vertical axis."""

_AZIMUTHS: Final = (0, 8, 16, 24, 35, 50, 65, 80, 95, 115)
_RADII: Final = {
    -70: (70, 70, 70, 69, 68, 67, 68, 70, 73, 77),
    -30: (76, 75, 74, 73, 72, 71, 71, 72, 73, 76),
    0: (78, 70, 64, 66, 69, 71, 72, 73, 73, 75),
    15: (90, 75, 66, 67, 71, 73, 73, 73, 73, 75),
    26: (95, 82, 69, 70, 73, 74, 73, 73, 73, 75),
    36: (97, 86, 72, 72, 74, 74, 73, 72, 72, 74),
    48: (82, 78, 74, 73, 74, 73, 72, 71, 71, 73),
    62: (82, 80, 76, 73, 71, 71, 69, 68, 68, 70),
    74: (78, 76, 72, 70, 69, 68, 66, 65, 65, 66),
    88: (74, 72, 70, 69, 67, 65, 62, 60, 59, 59),
    101: (74, 73, 70, 67, 64, 60, 57, 53, 50, 49),
    112: (71, 70, 66, 62, 57, 51, 46, 42, 40, 39),
    120: (64, 62, 58, 53, 47, 42, 38, 36, 35, 35),
    135: (46, 45, 43, 41, 39, 37, 36, 35, 34, 34),
}
"""The distance of the surface from the axis, with a row for each height and a column for each
azimuth."""

_TOP: Final = -70
_BOTTOM: Final = 135
_RIGHT: Final = 115
_STEP: Final = 2.5
"""The step of the tables below: millimetres of height and degrees of azimuth."""


def face_radius(azimuth: Floats, y: Floats) -> Floats:
    """The distance of the skin from the axis in mm at these azimuths (degrees) and heights (mm)."""
    return _look_up(_face_table(), azimuth, y)


def taut_radius(azimuth: Floats, y: Floats) -> Floats:
    """The same for a cloth stretched over nose, lips, chin and cheeks, along their convex hull."""
    return _look_up(_taut_table(), azimuth, y)


def points_at(azimuth: Floats, y: Floats, radius: Floats) -> Floats:
    """Convert cylindrical coordinates, (...) each, to Cartesian coordinates, (..., 3)."""
    angle = np.radians(azimuth)
    return np.stack([radius * np.sin(angle), y, radius * np.cos(angle) + AXIS], axis=-1)


def _look_up(table: Floats, azimuth: Floats, y: Floats) -> Floats:
    places = np.stack([(y - _TOP) / _STEP, np.abs(azimuth) / _STEP])
    return np.asarray(map_coordinates(table, places, order=1, mode="nearest"))


@lru_cache(maxsize=1)
def _face_table() -> Floats:
    """The radii at every `_STEP`, interpolated between those of `_RADII` without overshooting."""
    mirrored = np.array([*(-a for a in _AZIMUTHS[:0:-1]), *_AZIMUTHS])
    radii = np.array([[*row[:0:-1], *row] for row in _RADII.values()], float)
    fine = PchipInterpolator(mirrored, radii, axis=1)(np.arange(0, _RIGHT + 1, _STEP))
    heights = np.arange(_TOP, _BOTTOM + 1, _STEP)
    return np.asarray(PchipInterpolator(list(_RADII), fine, axis=0)(heights))


@lru_cache(maxsize=1)
def _taut_table() -> Floats:
    heights = np.arange(_TOP, _BOTTOM + 1, _STEP)
    azimuths = np.arange(0, _RIGHT + 1, _STEP)
    face = _face_table()
    covered = (heights >= 0) & (heights <= 124)
    y, azimuth = np.meshgrid(heights[covered], azimuths, indexing="ij")
    right = points_at(azimuth, y, face[covered]).reshape(-1, 3)
    hull = ConvexHull(np.concatenate([right, right * (-1, 1, 1)]))
    # A ray from the axis leaves the hull at the nearest of the facets that it runs towards.
    normal, offset = hull.equations[:, :3], hull.equations[:, 3]
    origin = points_at(azimuth, y, np.zeros_like(y)).reshape(-1, 3)
    direction = points_at(azimuth, y, np.ones_like(y)).reshape(-1, 3) - origin
    with np.errstate(divide="ignore", invalid="ignore"):
        far = -(origin @ normal.T + offset) / (direction @ normal.T)
    far[direction @ normal.T <= 1e-9] = np.inf
    taut = face.copy()
    taut[covered] = np.maximum(far.min(axis=1).reshape(y.shape), face[covered])
    return taut
