"""The fabric of a mask: colour, folds, seams and weave, on a flat sheet before it is worn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mfr.simulation.draws import Draws
from mfr.simulation.mask_shape import Kind

Floats = NDArray[np.floating]

HEIGHT: Final = 80
WIDTH: Final = 144
"""The size of a sheet in texels; on a face a texel is about `TEXEL` wide."""

TEXEL: Final = 1.2
"""The width of a texel in millimetres."""

_U: Final = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :]
_V: Final = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None]

_COLOURS: Final[dict[str, dict[str, tuple[int, int, int]]]] = {
    "surgical": {
        "light blue": (158, 202, 224),
        "blue": (112, 172, 212),
        "white": (238, 240, 242),
        "green": (158, 210, 196),
        "pink": (236, 186, 196),
        "black": (46, 46, 50),
    },
    "respirator": {"white": (240, 240, 238), "grey": (150, 152, 156), "black": (44, 44, 48)},
    "cloth": {
        "navy": (48, 60, 98),
        "grey": (140, 142, 146),
        "red": (160, 44, 50),
        "olive": (104, 108, 76),
        "beige": (206, 188, 160),
        "teal": (44, 116, 122),
        "burgundy": (104, 36, 54),
        "white": (232, 230, 224),
        "denim": (88, 110, 146),
        "mustard": (198, 152, 58),
        "pink": (222, 158, 168),
    },
    "black": {"black": (40, 40, 42), "charcoal": (62, 62, 65)},
}
_WEIGHTS: Final[dict[str, float]] = {
    "light blue": 5,
    "white": 2.5,
    "blue": 1.5,
}
"""The weights of the colours that are worn more often; all other colours have weight 1."""


@dataclass(frozen=True)
class Fabric:
    """A flat sheet of cloth; the first row is its upper edge.

    Attributes:
        colour: the name of the colour, with that of the pattern if there is one.
        reflectance: (HEIGHT, WIDTH, 3) linear, 0-1.
        relief: (HEIGHT, WIDTH) height in millimetres.
        crease: (HEIGHT, WIDTH) 0-1, the share of the light that folds and seams keep away.
        strap: (3,) linear reflectance of the straps.
    """

    colour: str
    reflectance: Floats
    relief: Floats
    crease: Floats
    strap: Floats


def weave(kind: Kind, draws: Draws) -> Fabric:
    """A sheet of cloth for a mask of this kind."""
    family = {"kn95": "respirator", "n95": "respirator", "patterned": "cloth"}.get(kind, kind)
    name, colour = _pick(family, draws)
    relief, crease = _wrinkles(kind, draws)
    reflectance = np.broadcast_to(colour, (HEIGHT, WIDTH, 3))
    strap = _linear((238, 238, 236))
    if kind == "surgical":
        relief, crease = _pleated(relief, crease, draws)
    elif kind == "kn95":
        relief, crease = _welded(relief, crease, ridge=True)
    elif kind == "n95":
        relief, crease = _welded(relief, crease, ridge=False)
        strap = _linear(draws.choice({(226, 196, 92): 2, (236, 236, 232): 2, (90, 130, 180): 1}))
    elif kind == "patterned":
        other_name, other = _pick("cloth", draws)
        share, pattern = _pattern(draws)
        reflectance = colour + share[:, :, None] * (other - colour)
        name = f"{pattern} of {name} and {other_name}"
    if kind in ("cloth", "patterned"):
        relief, crease = _sewn(relief, crease, draws)
        dye = draws.choice({"same": 0.5, "white": 0.25, "black": 0.25})
        strap = {"same": colour, "white": strap, "black": _linear((40, 40, 42))}[dye]
    elif kind == "black" or name == "black":
        strap = colour
    speckle = 1 + {"n95": 0.015, "surgical": 0.006}.get(kind, 0.01) * draws.normal(HEIGHT, WIDTH)
    dyed = (reflectance * speckle[:, :, None]).astype(np.float32)
    return Fabric(name, dyed, relief.astype(np.float32), crease.astype(np.float32), strap)


def _pick(family: str, draws: Draws) -> tuple[str, Floats]:
    colours = _COLOURS[family]
    name = draws.choice({name: _WEIGHTS.get(name, 1.0) for name in colours})
    tone = draws.uniform(0.93, 1.07)
    varied = [min(level * tone * draws.uniform(0.98, 1.02), 248) for level in colours[name]]
    return name, _linear(varied)


def _linear(colour: object) -> Floats:
    return np.square(np.asarray(colour, np.float32) / 255)


def _smooth(draws: Draws, rows: int, columns: int) -> Floats:
    """Smooth noise of about unit variance, with this many bumps down and across."""
    coarse = draws.normal(rows, columns)
    return np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))


def _wrinkles(kind: Kind, draws: Draws) -> tuple[Floats, Floats]:
    """Soft unevenness everywhere, and folds that run from the corners, where the straps pull."""
    stiff = {"n95": 0.15, "kn95": 0.4}.get(kind, 1.0)
    relief = stiff * (0.5 * _smooth(draws, 4, 7) + 0.25 * _smooth(draws, 8, 16))
    if kind != "n95":
        for corner, (angle, distance) in enumerate(_from_corners()):
            folds = np.sin(angle * draws.uniform(9, 15) + draws.uniform(0, 6.3) + corner)
            relief += stiff * draws.uniform(0.3, 1.0) * folds * np.exp(-distance / 0.32)
    return relief, np.zeros((HEIGHT, WIDTH), np.float32)


@lru_cache(maxsize=1)
def _from_corners() -> list[tuple[Floats, Floats]]:
    """The angle and distance (in half widths) of every texel from each corner."""
    polar = []
    for u in (-1, 1):
        for v in (0, 1):
            across, down = (1 - u * _U), (_V - v) * 1.4
            polar.append((np.arctan2(down, across), np.hypot(down, across)))
    return polar


def _bump(x: Floats, width: float) -> Floats:
    return np.asarray(np.exp(-np.square(x / width)))


def _pleated(relief: Floats, crease: Floats, draws: Draws) -> tuple[Floats, Floats]:
    """Add three pleats that open towards the middle, hems, and the wire over the nose."""
    relief, crease = relief.copy(), crease.copy()
    first, gap = draws.uniform(0.24, 0.32), draws.uniform(0.17, 0.22)
    open_middle = 1 - _U**2
    for k in range(3):
        drawn_together = 0.5 + 0.75 * (first + gap * k - 0.5)
        line = drawn_together + (first + gap * k - drawn_together) * open_middle
        line = line + 0.012 * np.sin(_U * draws.uniform(1, 3) + draws.uniform(0, 6.3))
        below = _V - line
        relief += np.where(below < 0, 1.1 * np.exp(np.minimum(below, 0) / 0.05), 0)
        crease += 0.26 * np.where(below >= 0, np.exp(-np.maximum(below, 0) / 0.022), 0)
    relief += 0.5 * _bump(_V - 0.045, 0.022) * (np.abs(_U) < 0.42)
    crease += 0.14 * _bump(_V - 0.09, 0.012) + 0.12 * _bump(_V - 0.93, 0.012)
    crease += 0.14 * _bump(np.abs(_U) - 0.93, 0.012)
    return relief, crease


def _welded(relief: Floats, crease: Floats, *, ridge: bool) -> tuple[Floats, Floats]:
    """Add a flat pressed rim, and a fold down the middle or a metal clip on a moulded dome."""
    rim = np.minimum(np.minimum(_V, 1 - _V) * 1.6, 1 - np.abs(_U))
    relief = relief + 1.2 / (1 + np.exp(-(rim - 0.09) / 0.015))
    crease = crease + 0.12 * _bump(rim - 0.09, 0.016)
    if ridge:
        relief = relief + 1.2 * _bump(_U, 0.02)
        crease = crease + 0.12 * _bump(np.abs(_U) - 0.035, 0.012)
    else:
        clip = _bump(_V - 0.075, 0.028) * (np.abs(_U) < 0.4)
        relief = relief + 0.7 * clip
        crease = crease + 0.5 * clip
    return relief, np.asarray(crease)


def _sewn(relief: Floats, crease: Floats, draws: Draws) -> tuple[Floats, Floats]:
    """Add hems, and either a seam down the middle or two folds across."""
    relief = relief + 0.4 * _bump(_V - 0.04, 0.03) + 0.4 * _bump(_V - 0.96, 0.03)
    crease = crease + 0.15 * _bump(_V - 0.08, 0.012) + 0.15 * _bump(_V - 0.92, 0.012)
    crease = crease + 0.15 * _bump(np.abs(_U) - 0.92, 0.012)
    if draws.chance(0.55):
        relief = relief + 0.8 * _bump(_U, 0.05)
        crease = crease + 0.25 * _bump(_U - 0.005, 0.012)
    else:
        for line in (0.36, 0.62):
            below = _V - line - 0.05 * (1 - _U**2)
            relief = relief + np.where(below < 0, 1.3 * np.exp(np.minimum(below, 0) / 0.07), 0)
            crease = crease + 0.3 * np.where(below >= 0, np.exp(-np.maximum(below, 0) / 0.03), 0)
    return np.asarray(relief), np.asarray(crease)


def _pattern(draws: Draws) -> tuple[Floats, str]:
    """The share of the second colour, (HEIGHT, WIDTH) 0-1, and the name of the pattern."""
    name = draws.choice(dict.fromkeys(("stripes", "gingham", "dots", "camouflage", "flowers"), 1.0))
    across, down = 0.5 * WIDTH * _U, HEIGHT * _V  # in texels from the middle of the sheet
    period = draws.uniform(9, 17)
    if name == "stripes":
        angle = draws.choice({0.0: 1, 0.785: 1, 1.571: 1})
        share = 0.5 + 0.5 * np.sin(6.283 / period * (across * np.cos(angle) + down * np.sin(angle)))
        share = np.clip(4 * (share - 0.5) + 0.5, 0, 1)
    elif name == "gingham":
        bars = [np.clip(4 * np.sin(6.283 / period * axis) + 0.5, 0, 1) for axis in (across, down)]
        share = 0.5 * (bars[0] + bars[1])
    elif name == "dots":
        row = np.floor(down / period)
        x = (across + period / 2 * (row % 2)) % period - period / 2
        share = np.clip(0.28 * period - np.hypot(x, down % period - period / 2) + 0.5, 0, 1)
    elif name == "camouflage":
        share = np.clip(3 * _smooth(draws, 7, 12) + 0.5, 0, 1)
    else:
        row = np.floor(down / period)
        x = (across + period / 2 * (row % 2)) % period - period / 2
        z = down % period - period / 2
        petals = 0.36 * period * (0.65 + 0.35 * np.cos(5 * np.arctan2(z, x) + row))
        share = np.clip(petals - np.hypot(x, z) + 0.5, 0, 1)
    return np.broadcast_to(share, (HEIGHT, WIDTH)).astype(np.float32), name
