"""Rasterisation of triangles with a depth buffer, by numpy operations on whole arrays."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DEPTH_BITS = 1 << 22


@dataclass(frozen=True)
class Fragments:
    """The surface that is seen in each pixel.

    Attributes:
        part: (H, W) int32, the number of the surface; -1 where there is none.
        row, column: (H, W) float32, the fractional grid coordinates on that surface.
        depth: (H, W) float32, z towards the viewer; -inf where there is no surface.
    """

    part: NDArray[np.int32]
    row: NDArray[np.float32]
    column: NDArray[np.float32]
    depth: NDArray[np.float32]


def rasterise(
    surfaces: list[NDArray[np.float32]], height: int, width: int, *, two_sided: list[bool]
) -> Fragments:
    """Find the nearest surface in each pixel of an image.

    Every triangle of every grid lists the pixels of its bounding box. Of the triangles that contain
    a pixel, the nearest is found by a minimum over (depth, entry) packed into one integer. Pixel
    centres lie on whole numbers. Triangles are so small that coordinates are treated as linear in
    the image.

    Args:
        surfaces: grids (rows, columns, 3) of x, y in pixels (y down) and z (towards the viewer).
        height: the height of the image in pixels.
        width: the width of the image in pixels.
        two_sided: for each surface, whether its back is visible too.
    """
    corners, starts = [], [0]
    for points, both in zip(surfaces, two_sided, strict=True):
        corners.append(_triangles(points, height, width, both, len(starts) - 1))
        starts.append(starts[-1] + len(corners[-1][0]))
    xyz = np.concatenate([c[0] for c in corners])  # (T, 3 corners, 3)
    cell = np.concatenate([c[1] for c in corners])  # (T, 4): part, row, column, half of the cell
    x, y, z = xyz[..., 0], xyz[..., 1], xyz[..., 2]
    x0, y0 = x[:, 0], y[:, 0]
    ax, ay, bx, by = x[:, 1] - x0, y[:, 1] - y0, x[:, 2] - x0, y[:, 2] - y0
    inverse = 1 / (ax * by - ay * bx)
    # The barycentric coordinates p, q of corners 1 and 2 are linear in the pixel's coordinates.
    px, py = by * inverse, -bx * inverse
    qx, qy = -ay * inverse, ax * inverse
    left = np.maximum(np.ceil(_lowest(x)), 0).astype(np.int32)
    top = np.maximum(np.ceil(_lowest(y)), 0).astype(np.int32)
    wide = np.minimum(np.floor(_highest(x)), width - 1).astype(np.int32) - left + 1
    high = np.minimum(np.floor(_highest(y)), height - 1).astype(np.int32) - top + 1
    count = np.maximum(wide, 0) * np.maximum(high, 0)

    triangle = np.repeat(np.arange(len(count), dtype=np.int32), count)
    first = np.repeat((np.cumsum(count) - count).astype(np.int32), count)
    place = np.arange(len(triangle), dtype=np.int32) - first
    down, right = np.divmod(place, wide[triangle])
    # p and q are computed at the corner of the box, and steps from it are added.
    dx, dy = left - x0, top - y0
    p = (px * dx + py * dy)[triangle] + px[triangle] * right + py[triangle] * down
    q = (qx * dx + qy * dy)[triangle] + qx[triangle] * right + qy[triangle] * down
    inside = np.flatnonzero((p >= -1e-5) & (q >= -1e-5) & (p + q <= 1 + 2e-5))
    triangle, p, q = triangle[inside], p[inside], q[inside]
    pixel = (top[triangle] + down[inside]) * width + left[triangle] + right[inside]
    z0 = z[:, 0]
    depth = z0[triangle] + p * (z[:, 1] - z0)[triangle] + q * (z[:, 2] - z0)[triangle]
    low, high_z = (float(depth.min()), float(depth.max())) if len(depth) else (0.0, 1.0)
    scale = (_DEPTH_BITS - 1) / max(high_z - low, 1e-6)
    key = ((high_z - depth) * scale).astype(np.int64) * (1 << 32) + np.arange(len(depth))
    nothing = np.iinfo(np.int64).max
    nearest = np.full(height * width, nothing, np.int64)
    np.minimum.at(nearest, pixel, key)
    seen = np.flatnonzero(nearest != nothing)
    winner = nearest[seen] & 0xFFFFFFFF

    part = np.full(height * width, -1, np.int32)
    row = np.full(height * width, -1e4, np.float32)
    column = np.full(height * width, -1e4, np.float32)
    deep = np.full(height * width, -np.inf, np.float32)
    t, p, q = triangle[winner], p[winner], q[winner]
    # Half 0 has the corners (i, j), (i + 1, j), (i, j + 1); half 1 is its mirror image.
    half = cell[t, 3]
    part[seen] = cell[t, 0]
    row[seen] = np.where(half == 0, cell[t, 1] + p, cell[t, 1] + 1 - p)
    column[seen] = np.where(half == 0, cell[t, 2] + q, cell[t, 2] + 1 - q)
    deep[seen] = depth[winner]
    shape = (height, width)
    return Fragments(
        part.reshape(shape), row.reshape(shape), column.reshape(shape), deep.reshape(shape)
    )


def _triangles(
    points: NDArray[np.float32], height: int, width: int, both: bool, part: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The corners (T, 3, 3) and cells (T, 4) of the triangles that can be visible."""
    rows, columns = points.shape[0] - 1, points.shape[1] - 1
    index = _corners(rows, columns)
    flat = points.reshape(-1, 3)
    x, y = flat[:, 0][index].T, flat[:, 1][index].T
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    # y points down, so that front triangles of a grid whose rows run down have a negative area.
    seen = np.abs(area) > 1e-6 if both else area < -1e-6
    seen &= (_highest(x) >= 0) & (_lowest(x) <= width - 1)
    seen &= (_highest(y) >= 0) & (_lowest(y) <= height - 1)
    kept = np.flatnonzero(seen)
    half, place = np.divmod(kept, rows * columns)
    i, j = np.divmod(place, columns)
    cell = np.stack([np.full_like(kept, part), i, j, half], axis=1).astype(np.int32)
    return flat[index[:, kept].T], cell


@functools.cache
def _corners(rows: int, columns: int) -> NDArray[np.int64]:
    """The indices of the corners of each triangle, (3, T), in a grid of this many cells."""
    first = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    a, b, c, d = first, first + columns + 1, first + 1, first + columns + 2
    return np.concatenate([np.stack([a, b, c]), np.stack([d, c, b])], axis=1)


def _lowest(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """The lowest value of each triangle; numpy is slow at reducing a short axis."""
    return np.minimum(np.minimum(corners[:, 0], corners[:, 1]), corners[:, 2])


def _highest(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(np.maximum(corners[:, 0], corners[:, 1]), corners[:, 2])
