"""Means over windows of one image, for the networks that OpenVINO runs.

They are those of `mfr.faces.mtcnn.averages`, up to rounding: sums over windows are whole numbers,
and four of them, from a summed-area table, give the next. The difference is who gathers them. Four
sums are looked up for every new pixel, and OpenCV's `remap` does it several times as fast as
indexing in torch or numpy does.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np

_NO_FRACTIONS: Final = np.empty(0, np.uint16)


class Windows(NamedTuple):
    """For each of (h, w) new pixels the window of old ones that it is the mean of.

    Attributes:
        corners: (4 h, w, 2) int16 x, y in the summed-area table: for all pixels the upper left
            corners, below them the upper right ones, the lower left and the lower right ones.
        shares: (h, w) float32, what each old pixel counts; 0 leaves the new one black.
    """

    corners: np.ndarray
    shares: np.ndarray


def covered(lengths: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixels, and those after the last, that ``size`` new ones cover of (m,) lengths."""
    new, old = np.arange(size), lengths[:, None]
    return new * old // size, ((new + 1) * old + size - 1) // size


def square_windows(squares: np.ndarray, size: int, limits: tuple[int, int]) -> Windows:
    """The windows of squares cut out of an image, black outside it, one below the other.

    Args:
        squares: (m, 4) int64 x0, y0, x1, y1, the last row and column not included; none empty.
        size: what their sides become, in pixels.
        limits: height and width of the image, at most 32766.

    Returns:
        Windows of (m size, size) pixels.
    """
    height, width = limits
    x0, y0, x1, y1 = squares.T
    columns = np.stack(covered(x1 - x0, size))
    rows = np.stack(covered(y1 - y0, size))
    sides = (rows[1] - rows[0])[:, :, None] * (columns[1] - columns[0])[:, None, :]
    columns = (columns + x0[:, None]).clip(0, width)
    rows = (rows + y0[:, None]).clip(0, height)
    corners = np.empty((2, 2, len(squares), size, size, 2), np.int16)
    corners[..., 0] = columns[None, :, :, None, :]
    corners[..., 1] = rows[:, None, :, :, None]
    shares = np.float32(1) / sides.astype(np.float32)
    return Windows(corners.reshape(-1, size, 2), shares.reshape(-1, size))


def means(sums: np.ndarray, windows: Windows) -> np.ndarray:
    """The new pixels, (h, w, 3) float32, 0-255.

    Args:
        sums: (H + 1, W + 1, 3) int32, the image's summed-area table (`cv2.integral`).
        windows: those of (h, w) pixels.
    """
    gathered = cv2.remap(sums, windows.corners, _NO_FRACTIONS, cv2.INTER_NEAREST)
    above_left, above_right, below_left, below_right = gathered.reshape(4, -1, *sums.shape[2:])
    below_right -= below_left
    below_right -= above_right
    below_right += above_left
    inside = below_right.reshape(*windows.shares.shape, -1).astype(np.float32)
    inside *= windows.shares[..., None]
    return inside
