"""A mask drawn onto the face in a crop, lit, blurred and grained as the crop is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.simulation import head
from data_tools.simulation.draws import Draws
from data_tools.simulation.mask_fabric import HEIGHT, TEXEL, WIDTH, Fabric, weave
from data_tools.simulation.mask_shape import (
    COLLAR,
    COLUMNS,
    PLACEMENTS,
    ROWS,
    Kind,
    MaskShape,
    Placement,
    Strap,
    shape_mask,
)
from data_tools.simulation.photograph import (
    LUMA,
    Photograph,
    grain,
    study,
    to_levels,
)
from data_tools.simulation.pose import Pose
from data_tools.simulation.raster import FINE, SHIFT, normals, rasterise, ribbon, shrink
from mfr.geometry import CROP_SIZE

KINDS: Final[dict[Kind, float]] = {
    "surgical": 0.46,
    "kn95": 0.10,
    "n95": 0.08,
    "cloth": 0.12,
    "patterned": 0.10,
    "black": 0.14,
}
"""How often each kind is drawn."""

_WHITE: Final = 0.86
"""Linear brightness of a white sheet that faces the light in a well-exposed photo."""

_RELIEF: Final = 2.0
"""Folds are deepened by this: light to first order models them more softly than real light."""


_SHEEN: Final = 0.06
"""What fibres send back at a glancing angle whatever their dye: it gives black cloth its form."""


@dataclass(frozen=True)
class MaskedFace:
    """A crop with a mask drawn in.

    Attributes:
        crop: (112, 112, 3) uint8 RGB.
        mask: (112, 112) 0-1, how much of each pixel mask and straps cover.
        touched: (112, 112) bool, the pixels that may have changed: these and their soft shadow.
        kind: of mask.
        colour: its name.
        placement: how it is worn.
        coverage: of the face's visible area (from the brows to the chin), the share that the mask
            itself, without straps, covers.
    """

    crop: NDArray[np.uint8]
    mask: NDArray[np.float32]
    touched: NDArray[np.bool_]
    kind: Kind
    colour: str
    placement: Placement
    coverage: float


def draw_mask(crop: NDArray[np.uint8], pose: Pose, draws: Draws) -> MaskedFace:
    """Put a mask on the face in ``crop`` (112, 112, 3), which stands in this pose.

    Kind, colour, folds and placement come from ``draws``; light, colour cast, sharpness and noise
    from the crop. A grey crop (equal channels) stays grey.
    """
    kind, placement = draws.choice(KINDS), draws.choice(PLACEMENTS)
    shape = shape_mask(kind, placement, pose, draws)
    fabric = weave(kind, draws)
    photograph = study(crop, pose)

    sheet = pose.to_camera(shape.sheet)
    texture = _lit(fabric, sheet[COLLAR:], photograph)
    column, row = rasterise(sheet)
    worn = (row >= COLLAR).astype(np.float32)
    u = column * ((WIDTH - 1) / (COLUMNS - 1))
    v = (row - COLLAR) * ((HEIGHT - 1) / (ROWS - 1))
    colours = cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    canvas, straps = _straps(shape.straps, fabric, pose, photograph)
    canvas += worn[:, :, None] * (colours - canvas)

    face = _face_area(pose)
    cover = np.dstack([np.maximum(worn, straps), worn])
    blur = max(np.sqrt(max(photograph.blur**2 - 0.3**2, 0)), 0.3) * FINE
    alpha = cv2.GaussianBlur(cover, (0, 0), blur)
    soft = cv2.GaussianBlur(canvas * cover[:, :, :1], (0, 0), blur)
    alpha, soft = shrink(alpha), shrink(soft)
    soft /= np.maximum(alpha[:, :, :1], 1e-4)

    shown = photograph.shown
    mask, coverage = alpha[:, :, 0] * shown, alpha[:, :, 1] * shown
    mask = np.where(mask < 0.01, 0, mask)
    shadow = _shadow(mask, face, photograph, pose.scale)
    levels = crop * (1 - shadow)[:, :, None]
    painted = to_levels(soft) + grain(photograph, draws, CROP_SIZE)
    levels += mask[:, :, None] * (painted - levels)
    touched = (mask > 0) | (shadow > 0)
    drawn = np.where(touched[:, :, None], np.round(levels).clip(0, 255), crop).astype(np.uint8)
    area = face * shown
    return MaskedFace(
        crop=drawn,
        mask=mask,
        touched=touched,
        kind=kind,
        colour=fabric.colour,
        placement=placement,
        coverage=float((coverage * area).sum() / max(area.sum(), 1.0)),
    )


def _lit(fabric: Fabric, sheet: NDArray[np.float64], photograph: Photograph) -> np.ndarray:
    """The cloth in the photo's light, (HEIGHT, WIDTH, 3) linear."""
    outward, across, down = (
        cv2.resize(vectors.astype(np.float32), (WIDTH, HEIGHT)) for vectors in normals(sheet)
    )
    slope = _RELIEF / (8 * TEXEL)
    right = slope * cv2.Sobel(fabric.relief, cv2.CV_32F, 1, 0)
    below = slope * cv2.Sobel(fabric.relief, cv2.CV_32F, 0, 1)
    outward = outward - right[:, :, None] * across - below[:, :, None] * down
    outward /= np.linalg.norm(outward, axis=2, keepdims=True)
    light = photograph.light.on(outward) * (1 - np.minimum(fabric.crease, 0.8))
    facing = np.maximum(outward[:, :, 2], 0)
    light *= 0.7 + 0.3 * facing  # less of the room's light reaches the sides and below the chin
    sheen = _SHEEN * light * (1 - facing) ** 2
    colours = _tinted(fabric.reflectance, photograph) * (_WHITE * light[:, :, None])
    return np.asarray(colours + sheen[:, :, None])


def _tinted(reflectance: np.ndarray, photograph: Photograph) -> np.ndarray:
    """A reflectance as this camera and this light's colour show it; grey in a grey photo."""
    luma = (reflectance @ LUMA)[..., None]
    coloured = luma + photograph.saturation * (reflectance - luma)
    return np.asarray(coloured * photograph.light.colour.astype(np.float32))


def _straps(
    straps: tuple[Strap, ...], fabric: Fabric, pose: Pose, photograph: Photograph
) -> tuple[np.ndarray, np.ndarray]:
    """A fine canvas with the bands' colours, linear, and how much of each pixel they cover.

    They fade where they pass behind an ear or into the hair.
    """
    size = CROP_SIZE * FINE
    light, cover = np.zeros((size, size), np.float32), np.zeros((size, size), np.uint8)
    for strap in straps:
        azimuth, y = strap.path.T
        heights = y + np.array([[-3.0], [0.0], [3.0]])
        around = np.broadcast_to(azimuth, heights.shape)
        radius = head.face_radius(around, heights) + 1.5
        sheet = pose.to_camera(head.points_at(around, heights, radius))
        outward = normals(sheet)[0][1] * np.sign(azimuth[-1] - azimuth[0])
        visible = outward[:, 2] > 0.05
        if visible.sum() < 2:
            continue
        outline = ribbon(sheet[1, visible, :2], strap.width * pose.scale)
        level = float(photograph.light.on(outward[visible]).mean())
        cv2.fillPoly(light, [outline], level, cv2.LINE_8, SHIFT)
        cv2.polylines(light, [outline], True, level, 3, cv2.LINE_8, SHIFT)
        cv2.fillPoly(cover, [outline], 255, cv2.LINE_AA, SHIFT)
    colour = _WHITE * _tinted(fabric.strap, photograph)
    return light[:, :, None] * colour, cover.astype(np.float32) / 255


def _face_area(pose: Pose) -> NDArray[np.float32]:
    """1 where the generic head shows its face, from the brows to the chin, in this pose."""
    azimuth, y = np.meshgrid(np.linspace(-88, 88, 23), np.linspace(-28, 122, 13))
    places = pose.to_camera(head.points_at(azimuth, y, head.face_radius(azimuth, y)))[..., :2]
    outline = cv2.convexHull(places.reshape(-1, 2).astype(np.float32))
    area = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    cv2.fillConvexPoly(area, np.round(outline * 16).astype(np.int32), 1, cv2.LINE_8, 4)
    return area.astype(np.float32)


def _shadow(
    mask: NDArray[np.float32], face: NDArray[np.float32], photograph: Photograph, scale: float
) -> NDArray[np.float32]:
    """How much darker the skin around the mask is: close to it, and away from the light."""
    light = photograph.light
    away = -2.5 * light.direction[:2] / (light.ambient + np.linalg.norm(light.direction))
    move = np.array([[1, 0, away[0]], [0, 1, away[1]]], np.float32)
    near = cv2.warpAffine(mask, move, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    near = cv2.GaussianBlur(near, (0, 0), max(2.2 * scale, photograph.blur))
    shadow = 0.38 * near * face * photograph.shown * (1 - mask)
    return np.where(shadow < 0.01, 0, shadow).astype(np.float32)
