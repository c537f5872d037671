"""Spectacles and sunglasses drawn on a face: a frame in front of the eyes, posed with the head."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mfr.faces.pose import Pose
from mfr.geometry import CROP_SIZE
from mfr.simulation import head
from mfr.simulation.draws import Draws
from mfr.simulation.photograph import (
    Photograph,
    as_photographed,
    grain,
    study,
    tinted,
    to_levels,
    to_linear,
)
from mfr.simulation.raster import FINE, SHIFT, band, outline

Floats = NDArray[np.float64]

_FRAMES: Final[dict[str, tuple[int, int, int]]] = {
    "black": (30, 30, 32),
    "brown": (84, 54, 36),
    "silver": (170, 172, 176),
    "gold": (176, 142, 84),
    "blue": (44, 58, 92),
}
_SHAPES: Final[dict[str, tuple[float, float, float]]] = {
    "round": (22.5, 21.0, 2.0),
    "oval": (25.5, 17.5, 2.3),
    "square": (25.0, 18.0, 4.0),
}
"""The half width and half height of a lens in millimetres, and the exponent of its superellipse."""


def draw_glasses(
    crop: NDArray[np.uint8], pose: Pose, draws: Draws, *, dark: bool
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Put glasses on the face in ``crop`` (112, 112, 3), which has this pose.

    The drawing is approximate: lenses do not refract, and the glasses are drawn over any hair at
    the temples. A grey crop stays grey.

    Args:
        crop: the crop, uint8 RGB.
        pose: the pose of its face.
        draws: the draws that choose shape, colour and position.
        dark: whether to draw sunglasses.

    Returns:
        The new crop, and the kind and colour of the glasses.
    """
    photograph = study(crop, pose)
    frame = draws.choice({"black": 4.0, "brown": 1.5, "silver": 1.5, "gold": 1.0, "blue": 0.7})
    shape = draws.choice({"round": 1.0, "oval": 1.0, "square": 2.0})
    metal = frame in ("silver", "gold")
    rim = draws.uniform(1.3, 1.8) if metal else draws.uniform(2.2, 4.2)
    lenses, bars = _frame(shape, draws, 1.12 if dark else 1.0)
    lenses = [pose.to_camera(lens) for lens in lenses]
    size = CROP_SIZE * FINE
    glass, solid = np.zeros((size, size), np.uint8), np.zeros((size, size), np.uint8)
    for lens in lenses:
        cv2.fillPoly(glass, [outline(lens[:, :2])], 255, cv2.LINE_AA, SHIFT)
        closed = np.concatenate([lens, lens[:2]])[:, :2]
        cv2.fillPoly(solid, [band(closed, rim * pose.scale)], 255, cv2.LINE_AA, SHIFT)
    for bar in bars:
        path = pose.to_camera(bar)
        cv2.fillPoly(solid, [band(path[:, :2], rim * pose.scale)], 255, cv2.LINE_AA, SHIFT)
    for temple in _temples(pose, rim):
        cv2.fillPoly(solid, [temple], 255, cv2.LINE_AA, SHIFT)

    fine = np.dstack([glass, solid]).astype(np.float32) / 255
    cover = as_photographed(fine, photograph) * photograph.shown[:, :, None]
    levels = _through(crop, cover[:, :, 0], photograph, draws, dark=dark)
    colour = np.square(np.array(_FRAMES[frame], np.float32) / 255)
    light = float(photograph.light.on(np.array([0.0, -0.3, 0.95])))
    shade = np.linspace(1.3, 0.7, CROP_SIZE, dtype=np.float32)[:, None, None]
    painted = to_levels(0.9 * light * shade * tinted(colour, photograph))
    painted = painted + grain(photograph, draws, CROP_SIZE)
    solid_share = np.where(cover[:, :, 1:] < 0.01, 0, cover[:, :, 1:])
    levels += solid_share * (painted - levels)
    drawn = np.round(levels).clip(0, 255).astype(np.uint8)
    touched = cover.max(axis=2, keepdims=True) >= 0.01
    return np.where(touched, drawn, crop), {"kind": shape, "colour": frame}


def _frame(shape: str, draws: Draws, larger: float) -> tuple[list[Floats], list[Floats]]:
    """The outlines of the two lenses and the lines of the bridge, in millimetres of the head."""
    width, height, power = _SHAPES[shape]
    width, height = (side * larger * draws.uniform(0.95, 1.05) for side in (width, height))
    low = draws.uniform(1.0, 5.0)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.sign(cos) * np.abs(cos) ** (2 / power) * width
    y = np.sign(sin) * np.abs(sin) ** (2 / power) * height + low
    centre = width + 7.5
    lenses = []
    for side in (-1, 1):
        across = side * centre + x
        # The front curves around the face, and its lower edge leans inwards.
        depth = 27.0 - 0.005 * across**2 - 0.12 * (y - low)
        lenses.append(np.column_stack([across, y, depth]))
    t = np.linspace(-1, 1, 9)
    bridge = np.column_stack([t * 8.5, low - 4 - 3 * (1 - t**2), np.full(9, 27.0)])
    return lenses, [bridge]


def _temples(pose: Pose, rim: float) -> list[NDArray[np.int32]]:
    """The outlines of the arms to the ears, where they are in front of the head."""
    found = []
    for side in (-1, 1):
        azimuth = side * np.linspace(50, 88, 10)
        y = np.linspace(-3, -5, 10)
        skin = pose.to_camera(head.points_at(azimuth, y, head.face_radius(azimuth, y)))
        arm = pose.to_camera(head.points_at(azimuth, y, head.face_radius(azimuth, y) + 5))
        # An arm is visible where the skin beneath it faces the viewer, that is, where it belongs
        # to the side of the head and not to its back.
        visible = side * np.gradient(skin[:, 0]) * pose.scale > 0.02
        if visible.sum() >= 2:
            found.append(band(arm[visible, :2], rim * pose.scale))
    return found


def _through(
    crop: NDArray[np.uint8],
    glass: NDArray[np.floating],
    photograph: Photograph,
    draws: Draws,
    *,
    dark: bool,
) -> NDArray[np.floating]:
    """The crop as it looks through the lenses, with their reflections, in grey levels."""
    down = np.linspace(0, 1, CROP_SIZE, dtype=np.float32)[:, None]
    across = np.linspace(0, 1, CROP_SIZE, dtype=np.float32)[None, :]
    slant = 6.0 * (across + draws.uniform(0.3, 0.8) * down) + draws.uniform(0, 6)
    gleam = np.clip(np.sin(slant) * 3 - 2, 0, 1)
    linear = to_linear(crop)
    if dark:
        passed = draws.uniform(0.01, 0.05) + 0.10 * np.clip((down - 0.42) / 0.2, 0, 1)
        mirrored = 0.02 + 0.05 * np.clip(1 - (down - 0.35) / 0.2, 0, 1) + 0.05 * gleam
    else:
        passed = np.full_like(gleam, 0.93)
        mirrored = draws.uniform(0, 0.1) * gleam
    level = max(photograph.light.ambient, 0.05)
    seen = linear * passed[:, :, None] + (level * mirrored)[:, :, None]
    share = np.where(glass < 0.01, 0, glass)[:, :, None]
    # Grey levels are mixed, not light, because untouched pixels must stay exactly the same.
    levels = crop.astype(np.float32)
    return levels + share * (255 * np.sqrt(np.minimum(seen, 1)) - levels)
