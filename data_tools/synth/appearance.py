"""A person's surface: maps of pigment, hair, lips and relief over (u, v).

The maps hold physical quantities, not colours; each imaging band derives its own reflectance from
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from data_tools.synth import head
from data_tools.synth.draws import Draws
from data_tools.synth.head import smoothstep
from data_tools.synth.identity import Identity

Map = NDArray[np.floating[Any]]
"""A map over the head's grid, (TEXTURE, TEXTURE)."""

TEXTURE: Final = 256

MELANIN: Final = np.array([0.76, 1.0, 1.36, 0.22], np.float32)
"""The absorption of melanin in red, green, blue and at 850 nm, relative to green. It falls with the
wavelength to the power of -3.33 (Jacques, Physics in Medicine and Biology 58, 2013) and is averaged
over each band."""
BLOOD: Final = np.array([0.14, 1.0, 0.62, 0.03], np.float32)
"""The same for haemoglobin."""
DERMIS: Final = np.array([0.74, 0.62, 0.5, 0.66], np.float32)
"""The reflectance of skin without melanin and blood, in the same bands."""
HAIR_BASE: Final = np.array([0.55, 0.46, 0.36, 0.55], np.float32)
EUMELANIN: Final = np.array([0.95, 1.15, 1.5, 0.3], np.float32)
PHEOMELANIN: Final = np.array([0.3, 1.0, 1.9, 0.08], np.float32)


@dataclass(frozen=True)
class Appearance:
    """A person's maps.

    Attributes:
        melanin, blood: the amounts of melanin and blood in the skin.
        hair: the cover by brows, beard and scalp hair, 0-1.
        scalp: the cover by scalp hair alone, 0-1.
        strands: the lightness of the strands of hair, about -1 to 1.
        lips: where the lips are, 0-1.
        pores: the relief that is present at any age, in centimetres.
        wrinkles: the relief that old age adds, in centimetres.
        thickness: the outward thickness of the hair, (ROWS, COLUMNS), in centimetres.
    """

    melanin: Map
    blood: Map
    hair: Map
    scalp: Map
    strands: Map
    lips: Map
    pores: Map
    wrinkles: Map
    thickness: NDArray[np.float32]


def to_texture(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """Resample a field over the grid to the texture; its corners map to the texture's corners."""
    at = np.linspace(0, 1, TEXTURE, dtype=np.float32)
    columns, rows = np.meshgrid(at * (field.shape[1] - 1), at * (field.shape[0] - 1))
    return np.asarray(cv2.remap(np.ascontiguousarray(field), columns, rows, cv2.INTER_CUBIC))


@cache
def _canonical() -> tuple[Map, Map, Map]:
    """The |x|, y and |azimuth| (in degrees) of each texel."""
    points = to_texture(head.grid().points)
    azimuth = np.tile(np.degrees(head.grid().azimuth), (head.ROWS, 1)).astype(np.float32)
    return np.abs(points[..., 0]), points[..., 1], np.abs(to_texture(azimuth))


@cache
def _signed_x() -> Map:
    return to_texture(head.grid().points)[..., 0]


@cache
def _bump(x: float, y: float, rx: float, ry: float) -> Map:
    return to_texture(head.bump((x, y), (rx, ry)))


@cache
def _front() -> Map:
    return smoothstep(to_texture(head.grid().points)[..., 2], 1.0, 3.5)


def draw_appearance(identity: Identity) -> Appearance:
    """The maps of a person, as a function of the person's seed and number."""
    draws = Draws(identity.seed, identity.number, 0, 1)
    _, y, _ = _canonical()
    size = (TEXTURE, TEXTURE)
    fine, mid = draws.noise(*size), draws.smooth(size, (90, 70))
    coarse, broad = draws.smooth(size, (28, 20)), draws.smooth(size, (9, 7))
    scalp, thickness = _scalp(identity, draws)
    brows = _brows(identity, draws)
    beard = _beard(identity, draws)
    lips = _lips(identity)
    hair = 1 - (1 - brows) * (1 - beard * (1 - lips)) * (1 - scalp)

    melanin = identity.melanin * (1 + 0.07 * broad + 0.05 * coarse + 0.05 * mid)
    melanin += 0.12 * _bump(3.0, -1.0, 1.5, 0.6) * (1 + broad)  # around the eyes
    if identity.freckles:
        spots = smoothstep(draws.smooth(size, (150, 110)), 1.0, 1.9)
        melanin += (
            0.5
            * identity.freckles
            * spots
            * (_bump(3.0, -2.6, 3.0, 1.5) + 0.6 * _bump(0, -2, 1.5, 2))
        )
    signed = _signed_x()
    for _ in range(int(draws.uniform(0, 4.5))):  # moles
        where = draws.uniform(-5.5, 5.5), draws.uniform(-10, 5)
        radius = draws.uniform(0.09, 0.22)
        mole = np.exp(-(((signed - where[0]) ** 2 + (y - where[1]) ** 2) / radius**2))
        melanin += (1.3 + 0.5 * identity.melanin) * mole * _front()
    blood = identity.blood * (1 + 0.16 * broad + 0.12 * coarse + 0.08 * mid)
    blood += (0.2 + 0.08 * broad) * _bump(4.2, -3.0, 1.8, 1.6)
    blood += 0.2 * _bump(0.0, -4.0, 1.4, 0.8) + 0.1 * _bump(3.1, 0.2, 1.7, 0.9)
    blood += identity.lips[0] * lips * (1.1 + 0.15 * mid)
    melanin += 0.1 * lips
    blood += 2.0 * _bump(0.62, -4.92, 0.28, 0.17)  # no light reaches the nostrils
    melanin += 2.5 * _bump(0.62, -4.92, 0.28, 0.17)

    pores = 0.006 * fine + 0.01 * mid
    along = draws.smooth(size, (100, 12))  # the fine vertical lines of the lips
    pores = pores * (1 - lips) + 0.012 * lips * cv2.resize(along, size[::-1])
    return Appearance(
        melanin=np.clip(melanin, 0.05, 4).astype(np.float32),
        blood=np.clip(blood, 0.05, 3).astype(np.float32),
        hair=hair.astype(np.float32),
        scalp=scalp,
        strands=_strands(identity, draws),
        lips=lips,
        pores=pores.astype(np.float32),
        wrinkles=_wrinkles(draws),
        thickness=thickness,
    )


def skin_reflectance(melanin: Map, blood: Map, channels: slice) -> NDArray[np.float32]:
    """The diffuse reflectance of skin: light passes pigment and blood and the dermis reflects it.

    Args:
        melanin: the amount of melanin, (...).
        blood: the amount of blood, (...).
        channels: the channels to return, out of red, green, blue and 850 nm.

    Returns:
        (..., channels), 0-1.
    """
    absorbed = melanin[..., None] * MELANIN[channels] + blood[..., None] * BLOOD[channels]
    return np.asarray(DERMIS[channels] * np.exp(-absorbed))


def hair_reflectance(
    hair: tuple[float, float], grey: float, channels: slice
) -> NDArray[np.float32]:
    """The diffuse reflectance of hair, (channels,); ``grey`` is the share of white hair."""
    dark = HAIR_BASE * np.exp(-hair[0] * EUMELANIN - hair[1] * PHEOMELANIN) + 0.012
    white = np.array([0.5, 0.5, 0.48, 0.55], np.float32)
    return np.asarray(((1 - grey) * dark + grey * white)[channels], np.float32)


def warmth(maps: Appearance) -> NDArray[np.float32]:
    """The long-wave infrared radiance, 0-1, (TEXTURE, TEXTURE, 1); warm where blood is near."""
    warm = 0.7 + 0.16 * _bump(1.6, 0.2, 0.7, 0.6) + 0.06 * _bump(0.0, 3.5, 3.0, 2.0)
    warm = warm - 0.24 * _bump(0.0, -3.6, 1.2, 1.4) - 0.09 * _bump(4.5, -3.0, 1.8, 2.0)
    warm = warm + 0.07 * _bump(0.0, -7.0, 2.2, 0.7) - 0.05 * _bump(0.0, -9.8, 1.6, 1.0)
    veins = maps.blood - cv2.GaussianBlur(maps.blood, (0, 0), 16)
    warm = warm + np.clip(0.35 * veins, -0.09, 0.09)
    return np.asarray(warm * (1 - 0.25 * maps.hair * (1 - maps.scalp)))[..., None].astype(
        np.float32
    )


def _strands(identity: Identity, draws: Draws) -> Map:
    size = (TEXTURE, TEXTURE)
    curl = identity.scalp[6]
    straight = draws.smooth(size, (14, 230)) + 0.7 * draws.smooth(size, (9, 110))
    curly = draws.smooth(size, (120, 120))
    return np.asarray(0.6 * ((1 - curl) * straight + 1.4 * curl * curly), np.float32)


def _scalp(identity: Identity, draws: Draws) -> tuple[Map, NDArray[np.float32]]:
    """The cover by scalp hair over the texture, and the thickness of this hair over the grid."""
    line, recession, volume, fringe, parting, length, _ = identity.scalp
    shift = line - 5.9
    angles = [0, 14, 27, 40, 52, 62, 70, 77, 84, 92, 104, 118, 140, 180]
    temple = recession * np.array([0, 0.3, 1.6, 2.4, 1.6, 0.8, 0, 0, 0, 0, 0, 0, 0, 0])
    heights = np.array([5.9, 6.0, 5.9, 5.0, 3.4, 1.9, 0.6, -1.2, -1.0, 1.6, 1.4, -3.5, -7.2, -8.0])
    # A receding hairline rises in front but stays the same at the sides and the nape.
    ahead = np.clip((75 - np.array(angles)) / 40, 0, 1)
    heights = heights + temple + shift * ahead
    if fringe:
        low = 5.9 - 3.1 * fringe
        heights = np.where(np.array(angles) < 46, np.minimum(heights, low), heights)
    curve = PchipInterpolator(angles, heights)
    _, y, azimuth = _canonical()
    jagged = 0.28 * draws.smooth((TEXTURE, TEXTURE), (6, 150))
    jagged += 0.2 * draws.smooth((TEXTURE, TEXTURE), (10, 22))
    edge = 0.55 if fringe else 0.45
    scalp = smoothstep(y + jagged - curve(azimuth), -edge * 0.6, edge)
    scalp *= smoothstep(y, -9.5, -7.5)
    grid, angle = head.grid(), np.abs(np.degrees(head.grid().azimuth))[None]
    over = smoothstep(grid.y - curve(angle), -0.2, 1.6)
    over *= smoothstep(grid.y, -9.0, -6.0)
    top = 0.6 + 0.9 * smoothstep(grid.y, 3.0, 9.0)
    side = np.tanh(2 * (grid.x / 6.0 - 0.6 * parting)) * parting * 0.35
    lumps = cv2.resize(draws.noise(9, 9), over.shape[::-1], interpolation=cv2.INTER_CUBIC)
    thickness = volume * over * top * (1 + side + 0.16 * lumps) * (1 + 0.25 * min(length, 0.5))
    thickness[:, -1] = thickness[:, 0]
    return scalp.astype(np.float32), np.clip(thickness, 0, 3).astype(np.float32)


def _brows(identity: Identity, draws: Draws) -> Map:
    height, arch, thick, density, length, inner = identity.brow
    x, y, _ = _canonical()
    t = (x - inner) / (length - inner)
    middle = (
        height - 0.1 + arch * np.sin(np.clip(t, 0, 1) * 2.4) - 0.75 * arch * np.clip(t, 0, 1) ** 3
    )
    half = thick * np.clip(1.15 - 0.75 * np.clip(t, 0, 1) ** 1.6, 0.1, 2)
    inside = smoothstep(np.abs(y - middle) / half, 1.25, 0.35)
    ends = smoothstep(t, -0.06, 0.14) * smoothstep(t, 1.04, 0.8)
    hairs = 0.85 + 0.3 * draws.smooth((TEXTURE, TEXTURE), (110, 150))
    return np.clip(inside * ends * density * hairs, 0, 0.95).astype(np.float32) * _front()


def _beard(identity: Identity, draws: Draws) -> Map:
    stubble, moustache, chin, cheeks = identity.beard
    if not identity.male:
        return np.zeros((TEXTURE, TEXTURE), np.float32)
    x, y, azimuth = _canonical()
    hairs = draws.smooth((TEXTURE, TEXTURE), (150, 130))
    ragged = 0.22 * draws.smooth((TEXTURE, TEXTURE), (30, 24))
    line = np.interp(azimuth, [0, 20, 40, 60, 80], [-5.2, -5.6, -5.9, -4.2, -0.8])
    growth = smoothstep(line - y + ragged, -0.3, 0.9) * smoothstep(y, -13.0, -11.2)
    growth *= smoothstep(azimuth, 84, 72)
    upper = smoothstep(x + ragged, 3.0, 2.3) * smoothstep(y + ragged, -7.4, -6.9)
    upper *= smoothstep(y, -4.9, -5.4) * smoothstep(x, 0.05, 0.35)
    goatee = smoothstep(x + ragged, 2.9, 2.1) * smoothstep(y + ragged, -7.6, -8.3)
    goatee = np.maximum(goatee, smoothstep(np.abs(x - 2.75) + ragged, 0.6, 0.3) * (y < -6.2))
    goatee *= smoothstep(y, -12.6, -11.0)
    cover = np.maximum.reduce(
        [stubble * 0.42 * growth, moustache * upper, chin * goatee, cheeks * growth]
    )
    cover = cover * (0.88 + 0.25 * hairs) * smoothstep(-_nose(), -0.35, -0.1)
    return np.asarray(np.clip(cover, 0, 0.96) * _front(), np.float32)


@cache
def _nose() -> Map:
    return to_texture(head.nose_ridge())


def _lips(identity: Identity) -> Map:
    _, upper, lower = identity.lips
    x, y, _ = _canonical()
    reach = np.clip(1 - (x / 2.62) ** 2, 0, 1)
    bow = upper * reach**0.8 * (1 - 0.16 * np.exp(-((x / 0.4) ** 2)))
    above = smoothstep(head.MOUTH_Y + bow - y, -0.08, 0.1)
    below = smoothstep(y - (head.MOUTH_Y - lower * reach**0.9), -0.12, 0.12)
    return np.asarray(above * below * smoothstep(x, 2.65, 2.4) * _front(), np.float32)


def _wrinkles(draws: Draws) -> Map:
    """The folds of old age, each in a slightly different place on every person."""
    x, y, _ = _canonical()
    relief = np.zeros_like(x)

    def fold(distance: Map, width: float, depth: float, where: Map) -> None:
        nonlocal relief
        relief = relief - depth * np.exp(-((distance / width) ** 2)) * where

    wave = 0.25 * draws.smooth((TEXTURE, TEXTURE), (6, 9))
    for k in range(3):  # forehead
        level = 3.2 + 0.85 * k + draws.normal(0.1)
        fold(y - level - wave, 0.13, 0.07 * draws.uniform(0.4, 1.2), smoothstep(x, 4.5, 2.5))
    for k in range(2):  # frown lines
        fold(
            x - 0.55 - wave * 0.4,
            0.12,
            0.05 * draws.uniform(0.3, 1.3) / (k + 1),
            _bump(0.55, 2.0, 0.6, 0.8),
        )
    for k in range(3):  # crow's feet
        slope = (k - 1) * 0.45 + draws.normal(0.08)
        fold(
            y - slope * (x - 4.8) + 0.05,
            0.1,
            0.06 * draws.uniform(0.4, 1.2),
            _bump(5.4, -0.2, 0.6, 0.9),
        )
    line = 1.75 + np.clip(-4.2 - y, 0, 3) * 0.52 + wave * 0.3  # nasolabial
    fold(
        x - line,
        0.2,
        0.16 * draws.uniform(0.5, 1.2),
        smoothstep(y, -7.6, -6.4) * smoothstep(y, -3.9, -4.6),
    )
    fold(
        x - 2.75 - 0.12 * (-7.5 - y),
        0.16,
        0.1 * draws.uniform(0.2, 1.2),
        _bump(2.9, -8.1, 0.6, 0.7),
    )
    fold(
        y + 1.15 + 0.12 * (x - 3) ** 2,
        0.14,
        0.09 * draws.uniform(0.4, 1.2),
        _bump(2.9, -1.3, 1.2, 0.6),
    )
    fold(y + 12.6 + wave, 0.2, 0.06, smoothstep(x, 4, 2))
    return np.asarray(relief * _front(), np.float32)
