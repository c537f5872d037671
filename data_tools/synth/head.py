"""The surface of the head: a grid in (u, v), linear in shape and expression coefficients.

Units are centimetres; x grows to the viewer's right, y up and z towards the viewer, and the eyes
are at y = 0. The mean is lofted through three profiles (front, side, back) after Farkas
(Anthropometry of the Head and Face, 1994): the eyes lie halfway up the head, one eye width apart;
the nose is as wide as the gap between the eyes, and the mouth extends to the middle of the pupils.
Every feature is a smooth bump over the *canonical* coordinates of a vertex, which are its x and y
on the lofted mean, so that a point of the texture stays on the same spot of every face.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Field = NDArray[np.floating[Any]]
"""A value for each vertex, (ROWS, COLUMNS) or (ROWS, COLUMNS, 3)."""

ROWS: Final = 71
COLUMNS: Final = 65

EYE: Final = (3.15, 0.0)
"""The canonical x, y of the centre of the eye on the viewer's right; the other is mirrored."""
EYE_RADIUS: Final = 1.22
NOSE_TIP: Final = (0.0, -3.85)
MOUTH_CORNER: Final = (2.55, -7.0)
MOUTH_Y: Final = MOUTH_CORNER[1]
"""The canonical y of the line between the lips; the mouth's inside lies within `SLIT` of it."""
SLIT: Final = 0.07

# Columns: row; y, z of the front profile; y, x, z of the side profile; y, z of the back profile.
_LOFT: Final = np.array(
    [
        [0, 11.6, -0.6, 11.6, 0.0, -0.6, 11.6, -0.6],
        [3, 11.1, 3.2, 10.6, 3.8, -0.8, 10.8, -4.6],
        [7, 9.6, 6.5, 8.8, 6.1, -0.8, 8.8, -7.7],
        [12, 6.6, 8.8, 6.0, 7.3, -0.6, 5.5, -9.3],
        [17, 3.6, 9.4, 3.6, 7.6, -0.3, 2.0, -9.6],
        [22, 1.8, 9.4, 1.8, 7.4, 0.0, 0.0, -9.2],
        [27, 0.2, 9.1, 0.3, 7.15, 0.4, -2.0, -8.4],
        [31, -1.4, 8.9, -1.2, 6.95, 0.7, -3.8, -7.6],
        [36, -3.2, 8.9, -2.7, 6.75, 0.9, -5.2, -6.9],
        [41, -4.8, 8.9, -4.0, 6.5, 1.0, -6.2, -6.5],
        [46, -6.3, 9.0, -5.0, 6.2, 1.1, -7.2, -6.1],
        [49, MOUTH_Y + SLIT, 9.0, -5.5, 6.05, 1.1, -7.8, -5.9],
        [50, MOUTH_Y - SLIT, 9.0, -5.6, 6.0, 1.1, -7.9, -5.9],
        [54, -8.4, 8.8, -6.6, 5.7, 1.0, -8.8, -5.8],
        [58, -9.9, 8.8, -7.4, 5.35, 0.9, -9.6, -5.8],
        [60, -10.8, 8.4, -7.9, 5.15, 0.6, -10.2, -5.8],
        [61.5, -11.35, 7.2, -8.5, 4.95, 0.2, -10.8, -5.9],
        [63, -11.8, 4.8, -9.6, 4.85, -0.8, -11.5, -6.0],
        [65, -13.4, 3.4, -12.0, 5.0, -1.8, -13.0, -6.2],
        [67, -16.5, 3.2, -15.0, 5.9, -2.2, -15.0, -6.8],
        [68, -18.0, 4.2, -16.4, 11.0, -2.5, -16.5, -8.0],
        [69, -20.0, 7.5, -19.0, 19.0, -2.5, -19.0, -10.0],
        [70, -30.0, 10.5, -30.0, 22.0, -2.5, -30.0, -11.0],
    ]
)
CLOTH_ROW: Final = 67
"""The first row of the surface that is covered by clothes."""


@dataclass(frozen=True)
class Grid:
    """The lofted mean, to which no features have been added.

    Attributes:
        points: (ROWS, COLUMNS, 3) vertices; the first and last column coincide, at the back.
        azimuth: (COLUMNS,) radians from the front, negative on the viewer's left.
    """

    points: Field
    azimuth: NDArray[np.float32]

    @property
    def x(self) -> Field:
        """The canonical x of each vertex."""
        return self.points[..., 0]

    @property
    def y(self) -> Field:
        """The canonical y of each vertex."""
        return self.points[..., 1]


@cache
def grid() -> Grid:
    """The lofted mean, whose grid is denser on the face."""
    s = np.linspace(-1, 1, COLUMNS)
    azimuth = np.pi * (0.4 * s + 0.6 * s**3)
    rows = np.arange(ROWS)
    front_y, front_z, side_y, side_x, side_z, back_y, back_z = (
        curve[:, None] for curve in PchipInterpolator(_LOFT[:, 0], _LOFT[:, 1:])(rows).T
    )
    cosine, sine = np.cos(azimuth), np.sin(azimuth)
    front = np.abs(azimuth) <= np.pi / 2
    # The front of a face is flatter than an ellipse.
    x = side_x * np.sign(sine) * np.abs(sine) ** 0.94
    reach = np.abs(cosine) ** 0.94
    z = side_z + np.where(front, front_z - side_z, back_z - side_z) * reach
    y = side_y * sine**2 + np.where(front, front_y, back_y) * cosine**2
    points = np.stack([x, y, z], axis=-1).astype(np.float32)
    points.setflags(write=False)
    return Grid(points, azimuth.astype(np.float32))


def bump(centre: tuple[float, float], radius: tuple[float, float]) -> Field:
    """A Gaussian bump of height 1 on the front of the head, mirrored to both sides if x is not 0.

    Args:
        centre: the canonical x (on the viewer's right side) and y.
        radius: the distances along x and y at which the bump has fallen to exp(-1).
    """
    x, y, front = np.abs(grid().x), grid().y, _front()
    hill = np.exp(-(((x - centre[0]) / radius[0]) ** 2) - ((y - centre[1]) / radius[1]) ** 2)
    return (hill * front).astype(np.float32)


def smoothstep(value: Field, low: float, high: float) -> NDArray[np.float32]:
    """A smooth step from 0 at ``low`` to 1 at ``high``; it falls if ``low`` is the larger."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


@cache
def _front() -> Field:
    return smoothstep(grid().points[..., 2], -0.5, 2.5)


@cache
def mean() -> Field:
    """The mean head with its features, (ROWS, COLUMNS, 3)."""
    x, y = np.abs(grid().x), grid().y
    z = np.zeros_like(x)
    z += nose_ridge() * _front()
    z += 0.75 * bump((1.3, -4.2), (0.5, 0.5))  # wings
    z += 0.22 * bump((0.0, -3.75), (0.75, 0.65))  # tip
    z -= 0.28 * bump((1.95, -4.3), (0.35, 0.6))  # and the crease behind them
    z -= 0.45 * bump((0.6, -4.85), (0.35, 0.22))  # nostrils
    z -= 0.6 * bump((3.0, 0.2), (1.9, 1.2))  # sockets
    z -= 0.3 * bump((1.75, 0.1), (0.6, 0.8))
    z += 0.42 * bump(EYE, (1.5, 0.85))  # lids over the eyeballs
    z += 0.26 * bump((2.6, 2.1), (2.4, 0.9))  # brow ridge
    z += 0.1 * bump((0.0, 2.0), (1.2, 0.9))
    z -= 0.15 * bump((0.0, 0.7), (0.9, 0.6))  # nasion
    z += 0.45 * bump((4.7, -2.1), (1.7, 1.3))  # cheekbones
    z -= 0.3 * bump((4.7, -5.6), (1.4, 1.8))  # hollow cheeks
    z -= 0.35 * bump((6.4, 2.6), (1.1, 1.6))  # temples
    z += 0.35 * bump((0.0, -6.7), (2.6, 1.9))  # muzzle
    z -= 0.12 * bump((0.0, -5.6), (0.3, 0.6))  # philtrum
    lip = np.exp(-((x / 2.2) ** 4)) * _front()
    z += lip * (0.38 * _ridge(y, -6.52, 0.42) + 0.4 * _ridge(y, -7.5, 0.42))
    z -= np.exp(-((x / 2.5) ** 6)) * _front() * 0.42 * _ridge(y, MOUTH_Y, 0.2)
    z -= 0.22 * bump((2.75, -7.05), (0.5, 0.55))  # corners
    z -= 0.4 * bump((0.0, -8.5), (1.7, 0.45))  # below the lip
    z += 0.5 * bump((0.0, -9.9), (1.5, 1.0))  # chin
    head = grid().points.copy()
    head[..., 2] += z
    # Jaws narrow towards the chin more than an ellipse does.
    narrow = smoothstep(-y, 5.0, 10.5) * smoothstep(grid().points[..., 2], 1.0, 4.5)
    head[..., 0] *= 1 - 0.1 * narrow * smoothstep(x, 0.5, 3.0)
    head.setflags(write=False)
    return head


@cache
def nose_ridge() -> Field:
    """The height of the mean nose above the face, without its wings."""
    x, y = grid().x, grid().y
    height = PchipInterpolator(
        [-9, -5.35, -4.95, -4.4, -3.85, -3.1, -1.5, 0.2, 1.2, 9],
        [0, 0, 0.35, 1.6, 2.1, 1.95, 1.2, 0.42, 0, 0],
    )
    width = PchipInterpolator(
        [-9, -5, -4.3, -3.7, -2, 0, 1.2, 9], [0.9, 0.9, 0.92, 0.85, 0.78, 0.66, 0.9, 0.9]
    )
    return np.asarray(height(y) * np.exp(-(np.abs(x / width(y)) ** 2.2)), np.float32)


def _ridge(y: Field, centre: float, radius: float) -> Field:
    return np.exp(-(((y - centre) / radius) ** 2))


def _along(axis: int, amount: Field) -> Field:
    field = np.zeros((*amount.shape, 3), np.float32)
    field[..., axis] = amount
    return field


def _widen(amount: Field) -> Field:
    """A displacement away from the middle on both sides."""
    return _along(0, amount * np.tanh(grid().x / 0.6))


def _up(amount: Field) -> Field:
    return _along(1, amount)


def _out(amount: Field) -> Field:
    return _along(2, amount)


def _below(level: float, width: float) -> Field:
    return smoothstep(-grid().y, -level - width, -level + width)


def _shape_modes() -> dict[str, Field]:
    """The displacements by one standard deviation of each trait, by its name."""
    x, y = grid().x, grid().y
    z = grid().points[..., 2]
    size = np.abs(x)
    head = 1 - _below(-12.0, 2.0)
    face = _below(1.5, 1.5) * head
    jaw = bump((5.0, -7.2), (2.2, 2.3)) + smoothstep(size, 3.5, 5.5) * bump((6, -6.5), (4, 2.0))
    nose = smoothstep(-nose_ridge(), -0.5, 0.0) * -1 + 1
    modes = {
        "head width": _along(0, 0.045 * x * head),
        "head depth": _along(2, 0.035 * np.minimum(z, 0) * head),
        "cranium height": _up(0.55 * smoothstep(y, 2.0, 10.0)),
        "face length": _up(0.05 * np.minimum(y, 0) * head),
        "face width": _along(0, 0.045 * x * face),
        "forehead width": _along(0, 0.05 * x * smoothstep(y, 1.0, 4.0)),
        "forehead slope": _out(-0.55 * smoothstep(y, 2.0, 8.0) * _front()),
        "temples": _widen(0.3 * bump((6.6, 2.0), (1.5, 2.5))),
        "cheekbone width": _widen(0.45 * bump((6.2, -1.8), (2.2, 1.7))),
        "cheekbone height": _out(0.3 * bump((4.6, -1.9), (1.6, 1.2))),
        "cheek fullness": _widen(0.45 * bump((5.4, -5.2), (1.8, 2.2)))
        + _out(0.45 * bump((4.2, -5.2), (1.7, 2.0))),
        "jaw width": _widen(0.5 * jaw),
        "jaw angle": _up(0.55 * bump((5.4, -7.2), (1.6, 1.8))),
        "chin width": _widen(0.42 * bump((1.9, -10.0), (1.3, 1.5))),
        "chin height": _up(-0.45 * _below(-8.6, 1.0) * head * _front()),
        "chin protrusion": _out(0.5 * bump((0.0, -9.9), (2.4, 1.6))),
        "chin cleft": _out(-0.1 * bump((0.0, -10.1), (0.28, 0.8))),
        "double chin": _up(-0.5 * bump((0.0, -11.8), (3.5, 0.9)))
        + _out(0.5 * bump((0.0, -12.2), (3.5, 1.0))),
        "brow ridge": _out(0.15 * bump((2.4, 1.9), (2.6, 0.9))),
        "glabella": _out(0.1 * bump((0.0, 1.9), (1.2, 1.1))),
        "brow height": _up(0.28 * bump((2.8, 1.9), (2.4, 1.0))),
        "eye spacing": _widen(0.22 * bump((3.1, 0.0), (1.9, 1.6))),
        "eye depth": _out(-0.16 * bump((3.0, 0.3), (1.7, 1.2))),
        "eye tilt": _up(0.16 * bump((4.6, 0.0), (0.9, 0.8)) - 0.1 * bump((1.7, 0), (0.7, 0.7))),
        "eye height": _up(0.2 * bump((3.1, 0.3), (2.3, 1.6))),
        "lid fullness": _out(0.2 * bump((3.2, 0.9), (1.5, 0.5))),
        "eye bags": _out(0.14 * bump((3.0, -1.25), (1.2, 0.4))),
        "nose length": _up(-0.42 * smoothstep(-y, 0.0, 4.0) * bump((0.0, -4.2), (2.0, 2.0))),
        "nose width": _widen(0.27 * bump((1.4, -4.2), (1.0, 1.0))),
        "nose bridge": _out(0.3 * bump((0.0, -0.6), (0.75, 1.6))),
        "bridge width": _widen(0.15 * bump((0.9, -1.5), (0.7, 2.0))),
        "nose protrusion": _out(0.38 * nose * bump((0.0, -3.8), (1.5, 1.9))),
        "nose hump": _out(0.24 * bump((0.0, -1.7), (0.6, 0.9))),
        "nose tip up": _up(0.28 * bump((0.0, -3.9), (0.9, 0.7))),
        "nose tip width": _widen(0.18 * bump((0.6, -3.7), (0.6, 0.6))),
        "nostril height": _up(0.2 * bump((1.4, -4.3), (0.6, 0.7))),
        "nose crooked": _along(0, 0.14 * bump((0.0, -2.5), (1.2, 1.4))),
        "mouth width": _widen(0.32 * bump((2.4, -7.0), (1.4, 1.3))),
        "mouth height": _up(0.26 * bump((0.0, -7.0), (3.2, 1.6))),
        "upper lip": _up(0.19 * bump((0.0, -6.15), (2.2, 0.42)))
        + _out(0.1 * bump((0.0, -6.5), (2.0, 0.4))),
        "lower lip": _up(-0.2 * bump((0.0, -7.95), (2.0, 0.45)))
        + _out(0.1 * bump((0.0, -7.5), (1.8, 0.4))),
        "lip protrusion": _out(0.24 * bump((0.0, -7.0), (2.0, 1.1))),
        "mouth corners": _up(0.16 * bump((2.6, -7.0), (0.8, 0.7))),
        "muzzle": _out(0.28 * bump((0.0, -6.6), (2.8, 2.0))),
        "neck width": _along(0, 0.07 * x * _below(-9.5, 2.0) * smoothstep(-size, -9.0, -6.0)),
        "jaw lopsided": _along(0, 0.2 * _below(-8.0, 2.5) * head * _front()),
        "eyes lopsided": _up(0.08 * np.tanh(x) * bump((3.1, 0.0), (2.0, 1.6))),
        "mouth lopsided": _up(0.1 * np.tanh(x) * bump((2.3, -7.0), (1.4, 1.2))),
        "cheeks lopsided": _along(0, 0.16 * bump((5.0, -4.0), (2.4, 2.6))),
    }
    return modes


def _age_modes() -> dict[str, Field]:
    """Ageing to about age 70, after Coleman and Grover, Aesthetic Surgery Journal 2006."""
    return {
        "aged": _up(-0.55 * bump((4.0, -8.7), (1.6, 1.1)))  # jowls
        + _widen(0.3 * bump((4.3, -8.3), (1.5, 1.1)))
        + _out(-0.35 * bump((4.4, -4.6), (1.3, 1.6)))  # hollow cheeks
        + _up(-0.22 * bump((0.0, -4.0), (1.8, 1.2)))  # drooping tip
        + _out(-0.16 * bump((0.0, -7.0), (2.2, 0.9)))  # thinner lips
        + _up(0.1 * bump((0.0, -7.9), (2.0, 0.4)) - 0.1 * bump((0.0, -6.15), (2.0, 0.4)))
        + _up(-0.22 * bump((3.3, 1.9), (2.2, 0.8)))  # sagging brow
        + _out(0.16 * bump((3.0, -1.3), (1.2, 0.4)))  # bags
        + _up(-0.4 * bump((0.0, -11.8), (3.0, 0.9))),
    }


def _expression_modes() -> dict[str, Field]:
    """The displacements at full strength of each expression, by its name."""
    x, y = grid().x, grid().y
    size = np.abs(x)
    front = smoothstep(grid().points[..., 2], 0.5, 5.0)
    # The jaw's displacement begins sharply between the lips, and gradually beyond the corners.
    blur = SLIT + 1.9 * smoothstep(size, 2.2, 4.6)
    lower = np.clip((MOUTH_Y - y + blur) / (2 * blur), 0, 1)
    lower = lower * lower * (3 - 2 * lower) * front * (1 - _below(-13.5, 1.8))
    lens = 1 - 0.65 * smoothstep(size, 0.8, 3.0) * smoothstep(y, -9.0, -7.2)
    corner = bump((2.6, -7.0), (1.5, 1.2))
    return {
        "jaw open": _up(-2.0 * lower * lens) + _out(-0.45 * lower * lens),
        "smile": _widen(0.55 * corner)
        + _up(0.5 * corner + 0.3 * bump((4.2, -3.4), (1.6, 1.4)) + 0.1 * bump((3, -1.2), (2, 0.5)))
        + _out(0.35 * bump((4.2, -3.3), (1.4, 1.1)) - 0.25 * corner)
        + _out(-0.25 * bump((3.3, -5.5), (0.7, 1.3))),
        "parted": _up(-0.28 * lower * lens),
        "pucker": _widen(-0.6 * corner) + _out(0.45 * bump((0.0, -7.0), (1.6, 1.1))),
        "frown": _up(-0.4 * corner + 0.15 * bump((0, -8.6), (1.5, 0.8))),
        "brows up": _up(0.6 * bump((2.8, 2.1), (2.4, 1.1))),
        "brows together": _widen(-0.22 * bump((1.5, 1.9), (1.3, 0.9)))
        + _up(-0.3 * bump((1.3, 1.8), (1.2, 0.8))),
    }


@dataclass(frozen=True)
class Modes:
    """Displacement fields and their names.

    Attributes:
        names: the name of each field.
        fields: (n, ROWS, COLUMNS, 3) displacements in centimetres at coefficient 1.
    """

    names: tuple[str, ...]
    fields: Field

    def __call__(self, coefficients: NDArray[np.float32]) -> Field:
        """The displacement (ROWS, COLUMNS, 3) for (n,) coefficients."""
        flat = coefficients.astype(np.float32) @ self.fields.reshape(len(self.names), -1)
        return np.asarray(flat.reshape(self.fields.shape[1:]))


def _modes(build: Callable[[], dict[str, Field]]) -> Modes:
    fields = build()
    return Modes(tuple(fields), np.stack(list(fields.values())).astype(np.float32))


@cache
def shape_modes() -> Modes:
    """The differences in shape between people; the coefficients are standard normal."""
    return _modes(_shape_modes)


@cache
def age_modes() -> Modes:
    """The change of shape with age; coefficient 0 is a young adult, 1 is about age 70."""
    return _modes(_age_modes)


@cache
def expression_modes() -> Modes:
    """Facial expressions; the coefficients are from 0 to 1."""
    return _modes(_expression_modes)


def position_of(points: Field, row: float, column: float) -> NDArray[np.float32]:
    """The point (3,) of a surface at fractional grid coordinates, by bilinear interpolation."""
    where = np.array([[row, column]], np.float32)
    return np.asarray(cv2.remap(points, where[:, 1:], where[:, :1], cv2.INTER_LINEAR))[0, 0]


@cache
def grid_coordinates(x: float, y: float) -> tuple[float, float]:
    """The fractional row and column of the point of the face with these canonical coordinates."""
    centre = COLUMNS // 2
    row, column = 30.0, float(centre)
    for _ in range(60):  # to the fixed point of two one-dimensional look-ups
        i = int(np.clip(row, 0, ROWS - 2))
        t = row - i
        xs = (1 - t) * grid().x[i] + t * grid().x[i + 1]
        inside = slice(centre - 16, centre + 17)
        column = float(np.interp(x, xs[inside], np.arange(COLUMNS)[inside]))
        j = int(np.clip(column, 0, COLUMNS - 2))
        s = column - j
        ys = (1 - s) * grid().y[:, j] + s * grid().y[:, j + 1]
        row = float(np.interp(-y, -ys[:66], np.arange(66)))
    return row, column


def normals(points: Field) -> Field:
    """The outward unit normals of a grid, by central differences; the head's seam is closed."""
    closed = points.shape[1] == COLUMNS and np.allclose(points[:, 0], points[:, -1])
    padded = cv2.copyMakeBorder(points, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    if closed:
        padded[1:-1, 0], padded[1:-1, -1] = points[:, -2], points[:, 1]
    down = padded[2:, 1:-1] - padded[:-2, 1:-1]
    right = padded[1:-1, 2:] - padded[1:-1, :-2]
    (a, b, c), (d, e, f) = cv2.split(down), cv2.split(right)
    x, y, z = b * f - c * e, c * d - a * f, a * e - b * d
    scale = 1 / np.maximum(np.sqrt(x * x + y * y + z * z), 1e-9)
    return np.asarray(cv2.merge([x * scale, y * scale, z * scale]))
