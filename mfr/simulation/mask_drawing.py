"""A mask drawn onto the face in a crop, with the light, blur and grain of the crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mfr.faces.pose import Pose
from mfr.geometry import CROP_SIZE
from mfr.simulation import head
from mfr.simulation.draws import Draws
from mfr.simulation.mask_fabric import HEIGHT, TEXEL, WIDTH, Fabric, weave
from mfr.simulation.mask_shape import (
    COLLAR,
    COLUMNS,
    PLACEMENTS,
    ROWS,
    Kind,
    Placement,
    Strap,
    shape_mask,
)
from mfr.simulation.photograph import (
    Photograph,
    as_photographed,
    grain,
    study,
    tinted,
    to_levels,
)
from mfr.simulation.raster import FINE, SHIFT, band, normals, rasterise, thrice, unit

KINDS: Final[dict[Kind, float]] = {
    "surgical": 0.46,
    "kn95": 0.10,
    "n95": 0.08,
    "cloth": 0.12,
    "patterned": 0.10,
    "black": 0.14,
}
"""The probability of each kind of mask."""

_MARGIN: Final = 8
"""The number of rows of the crop over which blur may spread the drawing."""

_WHITE: Final = 0.86
"""The linear brightness of a white sheet that faces the light in a well-exposed photo."""

_RELIEF: Final = 1.5
"""The factor by which folds are deepened, because first-order light shows them more softly than
real light does."""

_SHEEN: Final = 0.06
"""The share of light that fibres of any dye reflect at a glancing angle; it makes the form of black
cloth visible."""


@dataclass(frozen=True)
class MaskRecord:
    """A description of the mask that was drawn.

    Attributes:
        kind: the kind of mask.
        colour: the name of its colour.
        placement: how it is worn.
        coverage: the share of the face's visible area, from the brows to the chin, that the mask
            covers without its straps, 0-1.
    """

    kind: Kind
    colour: str
    placement: Placement
    coverage: float


@dataclass(frozen=True)
class MaskedFace:
    """A crop with a mask drawn onto the face.

    Attributes:
        crop: (112, 112, 3) uint8 RGB.
        mask: (112, 112) 0-1, how much of each pixel the mask covers without its straps.
        touched: (112, 112) bool, the pixels that may have changed: under mask, straps and shadow.
        face: (112, 112) 0 or 1, the visible face; the record's coverage is a share of its area.
        record: a description of the mask.
    """

    crop: NDArray[np.uint8]
    mask: NDArray[np.floating]
    touched: NDArray[np.bool_]
    face: NDArray[np.floating]
    record: MaskRecord


def draw_mask(crop: NDArray[np.uint8], pose: Pose, draws: Draws) -> MaskedFace:
    """Put a mask on the face in ``crop`` (112, 112, 3), which has this pose.

    Kind, colour, folds and placement come from ``draws``; light, colour cast, sharpness and noise
    come from the crop. A grey crop (with equal channels) stays grey.
    """
    kind, placement = draws.choice(KINDS), draws.choice(PLACEMENTS)
    shape = shape_mask(kind, placement, pose, draws)
    fabric = weave(kind, draws)
    photograph = study(crop, pose)

    sheet = pose.to_camera(shape.sheet)
    texture = _lit(fabric, sheet[COLLAR:], photograph)
    column, row = rasterise(sheet)
    light, straps = _straps(crop, shape.straps, fabric, pose, photograph)

    # Rows above the first one that holds part of the mask need no work.
    filled = np.flatnonzero((row >= COLLAR).any(axis=1) | straps.any(axis=1))
    first = max(int(filled[0]) // FINE - _MARGIN, 0) if len(filled) else 0
    rows = slice(first * FINE, None)
    row, column = row[rows] - COLLAR, column[rows]
    worn = (row >= 0).astype(np.float32)
    u, v = column * ((WIDTH - 1) / (COLUMNS - 1)), row * ((HEIGHT - 1) / (ROWS - 1))
    colours = cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    beside = (1 - worn) * straps[rows] / np.float32(255)
    banded = beside * light[rows]
    dye = _WHITE * tinted(fabric.strap, photograph)
    # Colour is blurred together with its coverage, so that it does not darken towards the edge.
    layers = [c * worn + banded * d for c, d in zip(cv2.split(colours), dye, strict=True)]
    soft = np.zeros((CROP_SIZE, CROP_SIZE, 5), np.float32)
    fine = np.asarray(cv2.merge([*layers, worn + beside, worn]), np.float32)
    soft[first:] = as_photographed(fine, photograph)
    *painted, covered, covered_by_mask = cv2.split(soft)
    linear = cv2.merge(painted) / thrice(np.maximum(covered, 1e-4))
    share, mask = covered * photograph.shown, covered_by_mask * photograph.shown
    share = np.where(share < 0.01, 0, share)
    face = _face_area(pose) * photograph.shown
    shadow = _shadow(share, face, photograph, pose.scale)
    levels = crop * thrice(1 - shadow)
    drawn = to_levels(linear) + grain(photograph, draws, CROP_SIZE)
    levels += thrice(share) * (drawn - levels)
    touched = (share > 0) | (shadow > 0)
    coverage = float((mask * face).sum() / max(face.sum(), 1.0))
    return MaskedFace(
        crop=np.rint(levels).clip(0, 255).astype(np.uint8),
        mask=mask,
        touched=touched,
        face=face,
        record=MaskRecord(kind, fabric.colour, placement, coverage),
    )


def _lit(fabric: Fabric, sheet: NDArray[np.float64], photograph: Photograph) -> np.ndarray:
    """The cloth in the light of the photo, (HEIGHT, WIDTH, 3) linear."""
    outward, across, down = (
        cv2.resize(vectors.astype(np.float32), (WIDTH, HEIGHT)) for vectors in normals(sheet)
    )
    slope = _RELIEF / (8 * TEXEL)
    right = slope * cv2.Sobel(fabric.relief, cv2.CV_32F, 1, 0)
    below = slope * cv2.Sobel(fabric.relief, cv2.CV_32F, 0, 1)
    outward = outward - thrice(right) * across - thrice(below) * down
    outward = unit(outward)
    light = photograph.light.on(outward) * (1 - np.minimum(fabric.crease, 0.8))
    facing = np.maximum(outward[:, :, 2], 0)
    light *= 0.7 + 0.3 * facing  # the sides and the chin's underside get less ambient light
    sheen = _SHEEN * light * (1 - facing) ** 2
    colours = tinted(fabric.reflectance, photograph) * thrice(_WHITE * light)
    return np.asarray(colours + thrice(sheen))


def _straps(
    crop: NDArray[np.uint8],
    straps: tuple[Strap, ...],
    fabric: Fabric,
    pose: Pose,
    photograph: Photograph,
) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
    """The light on the straps in a fine crop, and how much of each pixel they cover, 0-255."""
    size = CROP_SIZE * FINE
    light, cover = np.zeros((size, size), np.float32), np.zeros((size, size), np.uint8)
    azimuth, y = np.stack([strap.path for strap in straps]).transpose(2, 0, 1)
    heights = y + np.array([-3.0, 0.0, 3.0])[:, None, None]
    around = np.broadcast_to(azimuth, heights.shape)
    sheets = pose.to_camera(
        head.points_at(around, heights, head.face_radius(around, heights) + 1.5)
    )
    along = np.gradient(sheets[1], axis=1) * np.sign(azimuth)[..., None]
    outward = unit(np.cross(along, sheets[2] - sheets[0]))
    levels = photograph.light.on(outward)
    shown = (outward[..., 2] > 0.05) & ~_in_hair(crop, sheets[1], levels, azimuth, photograph)
    for strap, path, level, visible in zip(straps, sheets[1], levels, shown, strict=True):
        # A strap runs from the mask to where it first disappears behind head, ear or hair.
        count = int(np.argmin(visible)) if not visible.all() else len(visible)
        if count < 2:
            continue
        polygon = band(path[:count, :2], strap.width * pose.scale)
        usual = float(level[:count].mean())
        cv2.fillPoly(light, [polygon], usual, cv2.LINE_8, SHIFT)
        cv2.polylines(light, [polygon], True, usual, 3, cv2.LINE_8, SHIFT)
        cv2.fillPoly(cover, [polygon], 255, cv2.LINE_AA, SHIFT)
    return light, cover


def _in_hair(
    crop: NDArray[np.uint8],
    places: NDArray[np.float64],
    levels: NDArray[np.floating],
    azimuth: NDArray[np.float64],
    photograph: Photograph,
) -> NDArray[np.bool_]:
    """Whether places on the side of the head are far darker or brighter than skin would be."""
    smooth = cv2.blur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (3, 3))
    column, row = np.round(places[..., :2]).astype(int).clip(0, CROP_SIZE - 1).transpose(2, 0, 1)
    seen = np.square(smooth[row, column] / np.float32(255))
    expected = np.maximum(photograph.skin * levels, 0.005)
    return (np.abs(azimuth) > 60) & ((seen < 0.3 * expected) | (seen > 2.5 * expected))


def _face_area(pose: Pose) -> NDArray[np.floating]:
    """1 where the face of the generic head, from the brows to the chin, is seen in this pose."""
    azimuth, y = np.meshgrid(np.linspace(-88, 88, 23), np.linspace(-28, 122, 13))
    places = pose.to_camera(head.points_at(azimuth, y, head.face_radius(azimuth, y)))[..., :2]
    outline = cv2.convexHull(places.reshape(-1, 2).astype(np.float32))
    area = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    cv2.fillConvexPoly(area, np.round(outline * 16).astype(np.int32), 1, cv2.LINE_8, 4)
    return area.astype(np.float32)


def _shadow(
    mask: NDArray[np.floating], face: NDArray[np.floating], photograph: Photograph, scale: float
) -> NDArray[np.floating]:
    """The share by which the mask darkens the skin around it, most on its unlit side."""
    light = photograph.light
    away = -2.5 * light.direction[:2] / (light.ambient + np.linalg.norm(light.direction))
    move = np.array([[1, 0, away[0]], [0, 1, away[1]]], np.float32)
    near = cv2.warpAffine(mask, move, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    near = cv2.GaussianBlur(near, (0, 0), max(2.2 * scale, photograph.blur))
    shadow = 0.38 * near * face * (1 - mask)
    return np.where(shadow < 0.01, 0, shadow).astype(np.float32)
