"""A posed sheet (a grid of points) to pixels: which point of the sheet each pixel shows."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mfr.geometry import CROP_SIZE

Floats = NDArray[np.float64]

FINE: Final = 2
"""Things are drawn in crops of this many times the size and averaged down, against jagged edges."""

SHIFT: Final = 6
"""Fractional bits of OpenCV's coordinates."""


def rasterise(sheet: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw the front of a sheet, nearer parts over farther ones.

    Args:
        sheet: (rows, columns, 3) x, y in pixels of the crop and depth (growing towards the
            viewer); rows run down and columns to the right on the side that is its front.

    Returns:
        Two (224, 224) maps in pixels of the fine crop: column and row of the sheet shown there
        (fractional), -1 where it is not shown.
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
    # Within a quad the sheet is taken for a parallelogram: its place follows by a 2 x 2 inverse.
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
    """The outline of a band along ``path``, for OpenCV to fill in a fine crop (`SHIFT`).

    Args:
        path: (n, 2) x, y in pixels of the crop, n at least 2.
        width: of the band in pixels of the crop.

    Returns:
        (2 n, 2)
    """
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    side = along[:, ::-1] * (-width / 2, width / 2)
    return outline(np.concatenate([path + side, (path - side)[::-1]]))


def outline(places: Floats) -> NDArray[np.int32]:
    """A polygon (n, 2) in pixels of the crop, for OpenCV to fill in a fine crop (`SHIFT`)."""
    return _fixed(_fine(places))


def _fine(places: Floats) -> Floats:
    """Places in the crop as places in the fine crop, whose pixel centres lie elsewhere."""
    return places * FINE + (FINE - 1) / 2


def _fixed(places: Floats) -> NDArray[np.int32]:
    return np.round(places * 2**SHIFT).clip(-(2**20), 2**20).astype(np.int32)


def normals(sheet: Floats) -> tuple[NDArray[np.floating], ...]:
    """Unit normals towards the viewer's side and unit tangents across and down, (rows, columns, 3).

    They follow the axes of the crop: x to the right, y down, z towards the viewer.
    """
    down, across = np.gradient(sheet, axis=0), np.gradient(sheet, axis=1)
    outward = np.cross(across, down)
    return unit(outward), unit(across), unit(down)


def shrink(fine: NDArray[np.floating]) -> NDArray[np.floating]:
    """A fine crop, or some rows of it, averaged down."""
    size = (fine.shape[1] // FINE, fine.shape[0] // FINE)
    return np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA))


def thrice(channel: NDArray[np.floating]) -> NDArray[np.floating]:
    """The same for red, green and blue: (h, w) to (h, w, 3).

    Where numpy would broadcast over a last axis of three, it takes several times as long.
    """
    return np.asarray(cv2.merge([channel, channel, channel]))


def unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Vectors (..., n) made one long."""
    return np.asarray(vectors / np.maximum(_lengths(vectors), 1e-9))


def _lengths(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    # numpy's norm over a short last axis takes several times as long.
    return np.sqrt(np.einsum("...i,...i", vectors, vectors))[..., None]
