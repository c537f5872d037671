"""The image pyramid on one canvas: the first network sees all scales in one or a few passes.

The first network has no padding: what it says of a place depends on the 12 x 12 pixels there
alone, so scales may lie side by side, if what is said of places across their rims is dropped. The
canvas is cut into strips whose sizes come in steps, for two reasons. OpenVINO compiles the network
anew for every shape of its input, and a strip is so small that what lies between the layers fits
into a processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from mfr.faces.mtcnn.boxes import CELL, STRIDE
from mfr.faces.mtcnn.openvino_networks import UNSEEN
from mfr.faces.mtcnn.window_means import Windows, covered

_STRIP_PIXELS: Final = 60_000
"""Pixels of a strip at most; twice as many took up to twice as long a pixel."""
_WIDTH_STEP: Final = 32
_PLACES_STEP: Final = 4
_OVERLAP: Final = CELL - STRIDE
"""Rows that two strips share, so that every place lies within one of them."""


class Level(NamedTuple):
    """One scale of the pyramid, and where its first pixel lies on the canvas."""

    scale: float
    height: int
    width: int
    top: int
    left: int


class Strip(NamedTuple):
    """A part of the canvas.

    Attributes:
        windows: those of its (h, w) pixels in the image.
        unseen: (1, 1, h - 2, w - 2) float32, as `OpenVinoNetwork` takes it.
        levels: (places,) int64, the number of the scale that each place of the network's output
            belongs to, row by row; -1 if to none.
        boxes: (places, 4) float32, the windows of the network in pixels of the image.
    """

    windows: Windows
    unseen: np.ndarray
    levels: np.ndarray
    boxes: np.ndarray


@lru_cache(16)  # the photos of a dataset share their sizes; one takes about a megabyte
def packed_pyramid(height: int, width: int, smallest: int, factor: float) -> tuple[Strip, ...]:
    """The strips for an image of ``height`` x ``width`` pixels; none if it is too small.

    Args:
        height: of the image.
        width: of the image.
        smallest: the smallest face searched for, in its pixels.
        factor: ratio between the scales.
    """
    levels, canvas_width = _placed(height, width, smallest, factor)
    if not levels:
        return ()
    canvas_width += -canvas_width % _WIDTH_STEP
    places = (_even(levels[0].height) - _OVERLAP) // STRIDE
    strips = -(-places * STRIDE * canvas_width // _STRIP_PIXELS)
    step = -(-places // strips)
    step += -step % _PLACES_STEP
    starts = range(0, places, step)
    shape = STRIDE * len(starts) * step + _OVERLAP, canvas_width
    corners, shares = _windows(levels, (height, width), shape)
    unseen = _unseen(levels, shape)
    number, boxes = _places(levels, (len(starts) * step, (canvas_width - _OVERLAP) // STRIDE))
    found = []
    for start in starts:
        rows = slice(STRIDE * start, STRIDE * (start + step) + _OVERLAP)
        part = np.ascontiguousarray(corners[:, rows]).reshape(-1, canvas_width, 2)
        seen = slice(start, start + step)
        found.append(
            Strip(
                Windows(part, np.ascontiguousarray(shares[rows])),
                np.ascontiguousarray(unseen[None, None, rows.start : rows.stop - 2]),
                number[seen].reshape(-1),
                boxes[seen].reshape(-1, 4),
            )
        )
    return tuple(found)


def _placed(height: int, width: int, smallest: int, factor: float) -> tuple[list[Level], int]:
    """The scales, each in a rectangle of its own, and the width of the canvas.

    The first takes the whole height. Each of the others goes into the first free rectangle that
    holds it, or to the right of all.
    """
    levels: list[Level] = []
    free: list[tuple[int, int, int, int]] = []
    canvas = 0
    for scale, rows, columns in _scales(height, width, smallest, factor):
        tall, wide = _even(rows), _even(columns)
        fitting = [i for i, (_, _, h, w) in enumerate(free) if tall <= h and wide <= w]
        if fitting:
            top, left, h, w = free.pop(fitting[0])
        else:
            top, left, h, w = 0, canvas, _even(levels[0].height) if levels else tall, wide
            canvas += wide
        free += [(top, left + wide, h, w - wide), (top + tall, left, h - tall, wide)]
        levels.append(Level(scale, rows, columns, top, left))
    return levels, canvas


def _scales(
    height: int, width: int, smallest: int, factor: float
) -> Iterator[tuple[float, int, int]]:
    scale = CELL / smallest
    while min(height, width) * scale >= CELL:
        yield scale, int(height * scale + 1), int(width * scale + 1)
        scale *= factor


def _windows(
    levels: list[Level], image: tuple[int, int], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Corners (4, h, w, 2) and shares (h, w) of the canvas, as `Windows` has them."""
    corners = np.zeros((2, 2, *shape, 2), np.int16)
    shares = np.zeros(shape, np.float32)
    for level in levels:
        (top, bottom), (left, right) = (
            np.stack(covered(np.array([old]), new))[:, 0]
            for old, new in zip(image, (level.height, level.width), strict=True)
        )
        rows = slice(level.top, level.top + level.height)
        columns = slice(level.left, level.left + level.width)
        corners[:, :, rows, columns, 0] = np.stack([left, right])[None, :, None, :]
        corners[:, :, rows, columns, 1] = np.stack([top, bottom])[:, None, :, None]
        areas = (bottom - top)[:, None] * (right - left)
        shares[rows, columns] = np.float32(1) / areas.astype(np.float32)
    return corners.reshape(4, *shape, 2), shares


def _unseen(levels: list[Level], shape: tuple[int, int]) -> np.ndarray:
    """What the first layer must not say, (h - 2, w - 2) float32, 0 or `UNSEEN`.

    Its output is an odd number of rows or columns where a scale is one. The maxima that follow are
    taken over pairs, of the last row or column alone: what lies beyond must not count.
    """
    unseen = np.zeros((shape[0] - 2, shape[1] - 2), np.float32)
    for level in levels:
        height, width = level.height - 2, level.width - 2
        rows = slice(level.top, level.top + _even(height))
        columns = slice(level.left, level.left + _even(width))
        unseen[rows, columns][height:] = UNSEEN
        unseen[rows, columns][:, width:] = UNSEEN
    return unseen


def _places(levels: list[Level], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Of (rows, columns) places of the output the number of the scale, and the boxes (..., 4)."""
    number = np.full(shape, -1, np.int64)
    boxes = np.zeros((*shape, 4), np.float32)
    for i, level in enumerate(levels):
        rows, columns = ((_even(n) - _OVERLAP) // STRIDE for n in (level.height, level.width))
        top, left = level.top // STRIDE, level.left // STRIDE
        here = slice(top, top + rows), slice(left, left + columns)
        number[here] = i
        corner = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
        first = STRIDE * corner.astype(np.float32)
        boxes[here] = np.concatenate([first + 1, first + CELL], axis=-1)
        boxes[here] /= np.float32(level.scale)
    return number, np.floor(boxes, out=boxes)


def _even(length: int) -> int:
    return length + length % 2
