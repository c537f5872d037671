"""Rasterisation of a posed sheet (a grid of points): which point of the sheet each pixel shows."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mfr.geometry import CROP_SIZE

Floats = NDArray[np.float64]

FINE: Final = 2
"""How many times larger a fine crop is, in which things are drawn before they are averaged down to
avoid jagged edges."""

SHIFT: Final = 6
"""The number of fractional bits in the coordinates passed to OpenCV."""


def rasterise(sheet: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rasterise the front of a sheet, with nearer parts over farther ones.

    Args:
        sheet: (rows, columns, 3) x, y in pixels of the crop, and depth, which grows towards the
            viewer; seen from the front, rows run down and columns run to the right.

    Returns:
        Two maps (224, 224) over the pixels of the fine crop: the fractional column and row of the
        sheet that each pixel shows, -1 where it does not show the sheet.
    """
    corners = sheet[:-1, :-1], sheet[:-1, 1:], sheet[1:, 1:], sheet[1:, :-1]
    quads = np.stack(corners, axis=2).reshape(-1, 4, 3)
    flat = _fine(quads[..., :2])
    across = (flat[:, 1] - flat[:, 0] + flat[:, 2] - flat[:, 3]) / 2
    down = (flat[:, 3] - flat[:, 0] + flat[:, 2] - flat[:, 1]) / 2
    area = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    order = np.argsort(quads[..., 2].sum(axis=1), kind="stable")
    order = order[area[order] > 1e-3]
    shown = np.full((CROP_SIZE * FINE, CROP_SIZE * FINE), -1, np.int32)
    polygons = _fixed(flat)
    for quad in order.tolist():
        cv2.fillConvexPoly(shown, polygons[quad], quad, cv2.LINE_8, SHIFT)
    y, x = np.nonzero(shown >= 0)
    quad = shown[y, x]
    # Each quad is treated as a parallelogram, so that a 2 x 2 inverse gives the place within it.
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.stack([down[:, 1], -down[:, 0], -across[:, 1], across[:, 0]], axis=1)
        inverse /= area[:, None]
    table = np.concatenate([inverse, flat.mean(axis=1)], axis=1).astype(np.float32)[quad]
    dx, dy = x - table[:, 4], y - table[:, 5]
    columns = sheet.shape[1] - 1
    maps = np.full((2, *shown.shape), -1, np.float32)
    s = (table[:, 0] * dx + table[:, 1] * dy).clip(-0.5, 0.5) + 0.5
    t = (table[:, 2] * dx + table[:, 3] * dy).clip(-0.5, 0.5) + 0.5
    maps[0, y, x] = quad % columns + s
    maps[1, y, x] = quad // columns + t
    return maps[0], maps[1]


def band(path: Floats, width: float) -> NDArray[np.int32]:
    """The outline of a band along ``path``, for OpenCV to fill in a fine crop.

    Args:
        path: (n, 2) x, y in pixels of the crop, with n at least 2.
        width: the width of the band in pixels of the crop.

    Returns:
        The corners of a polygon, (2 n, 2), with `SHIFT` fractional bits.
    """
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    side = along[:, ::-1] * (-width / 2, width / 2)
    return outline(np.concatenate([path + side, (path - side)[::-1]]))


def outline(places: Floats) -> NDArray[np.int32]:
    """Convert a polygon (n, 2) in pixels of the crop for OpenCV to fill in a fine crop.

    The result has `SHIFT` fractional bits.
    """
    return _fixed(_fine(places))


def _fine(places: Floats) -> Floats:
    """Convert places in the crop to places in the fine crop, whose pixel centres lie elsewhere."""
    return places * FINE + (FINE - 1) / 2


def _fixed(places: Floats) -> NDArray[np.int32]:
    return np.round(places * 2**SHIFT).clip(-(2**20), 2**20).astype(np.int32)


def normals(sheet: Floats) -> tuple[NDArray[np.floating], ...]:
    """The unit normals and the unit tangents across and down of a sheet, (rows, columns, 3) each.

    The normals point out of the front. The axes are those of the crop: x to the right, y down and
    z towards the viewer.
    """
    down, across = np.gradient(sheet, axis=0), np.gradient(sheet, axis=1)
    outward = np.cross(across, down)
    return unit(outward), unit(across), unit(down)


def shrink(fine: NDArray[np.floating]) -> NDArray[np.floating]:
    """Average a fine crop, or some rows of it, down to the size of the crop."""
    size = (fine.shape[1] // FINE, fine.shape[0] // FINE)
    return np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA))


def thrice(channel: NDArray[np.floating]) -> NDArray[np.floating]:
    """Repeat a channel (h, w) for red, green and blue: (h, w, 3).

    Broadcasting over a last axis of three in numpy takes several times as long.
    """
    return np.asarray(cv2.merge([channel, channel, channel]))


def unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Scale vectors (..., n) to unit length."""
    return np.asarray(vectors / np.maximum(_lengths(vectors), 1e-9))


def _lengths(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    # numpy's norm over a short last axis takes several times as long.
    return np.sqrt(np.einsum("...i,...i", vectors, vectors))[..., None]
