"""Averages over rectangles of images, each from four sums, to shrink images and parts of them.

Summed-area tables (Crow, Summed-Area Tables for Texture Mapping, SIGGRAPH 1984) make the price of
an average independent of how much it covers, and thousands of patches one gathering. The sums are
whole numbers, so nothing is lost by their differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor


class AreaAverages:
    """Shrinks images and parts of them, each new pixel the mean of the old ones that it covers.

    The pixels covered are those of ``torch.nn.functional.interpolate(mode="area")``: of ``n`` made
    ``m``, the new pixel ``k`` covers the old ones from floor(k n / m) up to ceil((k + 1) n / m).

    Args:
        images: N images (H, W, 3) uint8 of any sizes, of at most 8 million pixels each, whose sum
            32 bits can hold.
        device: where the averages are computed.
    """

    def __init__(self, images: Sequence[np.ndarray], device: torch.device) -> None:
        tables = [torch.from_numpy(cv2.integral(np.ascontiguousarray(image))) for image in images]
        self.sizes = [image.shape[:2] for image in images]
        # Row y, column x of a table is the sum of the y rows and x columns before it.
        self._tables = [table.to(device) for table in tables]
        self._sums = torch.cat([table.reshape(-1, 3) for table in self._tables])
        lengths = [len(table) * table.shape[1] for table in tables]
        self._starts = torch.tensor(np.cumsum([0, *lengths[:-1]]), device=device)
        self._heights = torch.tensor([height for height, _ in self.sizes], device=device)
        self._widths = torch.tensor([width for _, width in self.sizes], device=device)

    def whole(self, position: int, size: tuple[int, int]) -> Tensor:
        """The image at ``position`` as (1, 3, *size) float32, 0-255, channels last."""
        table, (height, width) = self._tables[position], self.sizes[position]
        top, bottom = _covered_by_whole(height, size[0], table.device)
        left, right = _covered_by_whole(width, size[1], table.device)
        rows = table.index_select(0, bottom) - table.index_select(0, top)
        sums = rows.index_select(1, right) - rows.index_select(1, left)
        return _means(sums[None], (bottom - top)[None], (right - left)[None])

    def patches(self, owners: Tensor, boxes: Tensor, size: int) -> Tensor:
        """Squares cut out of the images, black outside them.

        Args:
            owners: (m,) int64, the image of each.
            boxes: (m, 4) int64 x0, y0, x1, y1, the last row and column not included; none empty.
            size: what their sides become, in pixels.

        Returns:
            (m, 3, size, size) float32, 0-255, channels last.
        """
        x0, y0, x1, y1 = boxes.T
        left, right = _covered(x1 - x0, size)
        top, bottom = _covered(y1 - y0, size)
        starts, heights, widths = (
            per_image[owners][:, None] for per_image in (self._starts, self._heights, self._widths)
        )
        zero = torch.zeros_like(starts)
        columns = [(x0[:, None] + edge).clamp(zero, widths)[:, None, :] for edge in (left, right)]
        rows = [
            (starts + (y0[:, None] + edge).clamp(zero, heights) * (widths + 1))[:, :, None]
            for edge in (top, bottom)
        ]

        def sums(row: Tensor, column: Tensor) -> Tensor:
            where = row + column
            return self._sums.index_select(0, where.reshape(-1)).view(*where.shape, 3)

        inside = sums(rows[1], columns[1]) - sums(rows[0], columns[1])
        inside -= sums(rows[1], columns[0]) - sums(rows[0], columns[0])
        return _means(inside, bottom - top, right - left)


def _covered(lengths: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First pixels, and those after the last, that ``size`` new ones cover of (m,) lengths."""
    new = torch.arange(size, device=lengths.device)
    old = lengths[:, None]
    return new * old // size, ((new + 1) * old + size - 1) // size


@lru_cache(256)
def _covered_by_whole(length: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """`_covered` of one length, cached: the photos of a dataset share their sizes."""
    first, after = _covered(torch.tensor([length], device=device), size)
    return first[0], after[0]


def _means(sums: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
    """(m, rows, columns, 3) sums over heights (m, rows) and widths (m, columns), as (m, 3, ...)."""
    areas = heights[:, :, None, None] * widths[:, None, :, None]
    return (sums / areas).permute(0, 3, 1, 2)
