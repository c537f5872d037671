"""The shape of a mask on the generic head: a sheet over nose, cheeks and chin, and its straps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from mfr.faces.pose import Pose
from mfr.simulation import head
from mfr.simulation.draws import Draws

Floats = NDArray[np.float64]
Kind = Literal["surgical", "kn95", "n95", "cloth", "patterned", "black"]
Placement = Literal["proper", "nose out", "chin out"]

PLACEMENTS: Final[dict[Placement, float]] = {"proper": 0.86, "nose out": 0.09, "chin out": 0.05}
"""The probability of each placement: over nose and chin, below the nose, above the chin.

The values have the order of magnitude that street counts report where masks are common; they
reproduce no single source.
"""

COLUMNS: Final = 27
ROWS: Final = 13
COLLAR: Final = 3
"""The number of rows of skin above the mask's upper edge, which let the bridge of the nose hide the
far cheek."""


@dataclass(frozen=True)
class _Cut:
    """The cut of one kind of mask.

    Attributes:
        top, bottom: the upper and the lower edge, from the middle of the face to the side, as
            pairs of azimuth (degrees) and height (millimetres below the pupils).
        cling: 0 if the cloth is stretched over the hollows of a face, 1 if it lies in them.
        bulge: how far the middle of the mask stands out, in millimetres.
        ridge: whether the bulge is a fold down the middle instead of a dome.
    """

    top: tuple[tuple[float, float], ...]
    bottom: tuple[tuple[float, float], ...]
    cling: float
    bulge: float
    ridge: bool = False


_CUTS: Final[dict[Kind, _Cut]] = {
    "surgical": _Cut(
        top=((0, 14), (10, 17), (20, 23), (34, 28), (55, 34)),
        bottom=((0, 122), (14, 118), (28, 109), (40, 98), (55, 87)),
        cling=0.1,
        bulge=3,
    ),
    "kn95": _Cut(
        top=((0, 10), (10, 16), (20, 22), (34, 31), (54, 46)),
        bottom=((0, 122), (14, 118), (28, 105), (40, 91), (54, 74)),
        cling=0.0,
        bulge=15,
        ridge=True,
    ),
    "n95": _Cut(
        top=((0, 10), (10, 14), (20, 20), (34, 30), (47, 46)),
        bottom=((0, 121), (14, 117), (26, 106), (38, 90), (47, 72)),
        cling=0.0,
        bulge=13,
    ),
    "cloth": _Cut(
        top=((0, 12), (10, 16), (20, 22), (34, 30), (56, 40)),
        bottom=((0, 122), (14, 118), (28, 108), (40, 97), (56, 84)),
        cling=0.3,
        bulge=3,
    ),
    "black": _Cut(
        top=((0, 11), (10, 15), (20, 21), (36, 31), (62, 36)),
        bottom=((0, 121), (14, 117), (28, 107), (42, 93), (62, 74)),
        cling=0.45,
        bulge=2,
    ),
}
_CUTS["patterned"] = _CUTS["cloth"]


@dataclass(frozen=True)
class Strap:
    """A strap on the head.

    Attributes:
        path: (n, 2) azimuths in degrees and heights in millimetres, from the mask outwards.
        width: the width of the strap in millimetres.
    """

    path: Floats
    width: float


@dataclass(frozen=True)
class MaskShape:
    """A mask on the generic head.

    Attributes:
        sheet: (COLLAR + ROWS, COLUMNS, 3) points of the head in millimetres: first `COLLAR` rows
            of skin, then the mask from its upper to its lower edge; the columns run from the
            viewer's left to the right.
        straps: the straps from the mask to the ears or around the head.
    """

    sheet: Floats
    straps: tuple[Strap, ...]


def shape_mask(kind: Kind, placement: Placement, pose: Pose, draws: Draws) -> MaskShape:
    """A mask of this kind and placement for a face of this pose, a little askew as in real life."""
    cut = _CUTS[kind]
    top, bottom = np.array(cut.top, float), np.array(cut.bottom, float)
    size = draws.uniform(-1, 1)
    side = top[-1, 0] * (1 + 0.05 * size)
    top[:, 0] *= side / top[-1, 0]
    bottom[:, 0] *= side / bottom[-1, 0]
    top[:, 1] += draws.uniform(-3, 4)
    bottom[:, 1] += draws.uniform(-3, 2) + size
    reach = np.cos(np.radians(90 * top[:, 0] / side))  # 1 in the middle, 0 at the sides
    if placement == "nose out":
        slid = draws.uniform(46, 53)
        top[:, 1] = np.maximum(top[:, 1], slid - (1 - reach) * 8)
        bottom[:, 1] += 3 * reach
    elif placement == "chin out":
        bottom[:, 1] -= draws.uniform(20, 30) * reach + 4
    tilt, aside = draws.uniform(-2.5, 2.5) / 50, draws.uniform(-1.5, 1.5)

    # Columns stand closer together where the nose bends the cloth.
    u = np.linspace(-1, 1, COLUMNS)
    azimuth = side * np.sign(u) * (0.6 * np.abs(u) + 0.4 * u**2)
    upper = PchipInterpolator(*top.T)(np.abs(azimuth)) + tilt * azimuth
    lower = PchipInterpolator(*bottom.T)(np.abs(azimuth)) + tilt * azimuth
    v = np.linspace(0, 1, ROWS)[:, None]
    y = upper + (lower - upper) * v
    turn = np.broadcast_to(azimuth + aside, y.shape)

    face, taut = head.face_radius(turn, y), head.taut_radius(turn, y)
    stretched = (1 - cut.cling) * np.minimum(1, 0.35 + 5 * v) * np.minimum(1, 0.6 + 4 * (1 - v))
    radius = face + stretched * (taut - face) + 1.2
    profile = (1 - np.abs(u)) if cut.ridge else (1 - u**2)
    # The middle stands out between nose and chin; the edges lie on the face.
    bulge = cut.bulge * profile * np.sin(np.pi * v) ** 0.8
    radius += bulge * draws.uniform(0.8, 1.2)
    # A longer nose lifts the cloth above it.
    lifted = np.exp(-((azimuth / 16) ** 2) - ((y - 36) / 22) ** 2) * np.minimum(1, 0.3 + 4 * v)
    radius += np.clip(pose.nose, -4, 8) * lifted
    mask = head.points_at(turn, y, radius)

    above = upper - np.array([24.0, 12, 4])[:COLLAR, None]
    around = np.broadcast_to(turn[0], above.shape)
    collar = head.points_at(around, above, head.face_radius(around, above))
    straps = _straps(kind, azimuth[[0, -1]] + aside, upper[[0, -1]], lower[[0, -1]], draws)
    return MaskShape(np.concatenate([collar, mask]), straps)


def _straps(
    kind: Kind, sides: Floats, upper: Floats, lower: Floats, draws: Draws
) -> tuple[Strap, ...]:
    straps = []
    width = {"n95": 5.5, "black": 9.0, "cloth": 3.5, "patterned": 3.5}.get(kind, 2.8)
    sag = draws.uniform(0, 4)
    for side, high, low in zip(sides, upper, lower, strict=True):
        sign = np.sign(side)
        inset = side - sign * 1.5
        if kind == "n95":  # two straps around the head: above the ears, and below them
            middle = (high + low) / 2
            ends = ((middle - 5, 100.0, -22.0, -4.0), (middle + 5, 104.0, 62.0, 3.0))
        else:  # a loop: over the root of the ear, and back from behind its lobe
            inner = 4.0 if kind == "black" else 2.0
            ends = ((high + inner, 86.0, 5.0, -sag), (low - inner, 88.0, 44.0, sag + 3))
        for start, azimuth, end, bend in ends:
            t = np.linspace(0, 1, 12)
            height = start + (end - start) * t + bend * 4 * t * (1 - t)
            path = np.column_stack([inset + (sign * azimuth - inset) * t, height])
            straps.append(Strap(path, width))
    return tuple(straps)
