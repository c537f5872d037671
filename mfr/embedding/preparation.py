"""What a network takes of a face, with NumPy's arrays.

`mfr.backbones.input` does the same with PyTorch's tensors; the two agree up to rounding.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mfr.geometry import CROP_SIZE, CropGeometry, places_in_crop


def network_input(crops: np.ndarray, geometry: CropGeometry) -> np.ndarray:
    """Place, resize and scale crops, as `mfr.geometry.CropGeometry` says.

    Args:
        crops: (N, 112, 112, 3) uint8 RGB.
        geometry: what the network takes.

    Returns:
        (N, 3, height, width) float32, (x - mean) / scale.

    Raises:
        ValueError: crops of another shape or type.
    """
    _check(crops, CROP_SIZE, CROP_SIZE)
    first, last = geometry.columns
    shown = crops[:, :, first:last]
    if geometry.template is not None or shown.shape[1:3] != geometry.size:
        return _scaled(_resampled(shown, geometry), geometry)
    return _scaled(shown, geometry)


def chip_input(chips: np.ndarray, geometry: CropGeometry) -> np.ndarray:
    """Scale faces that were cut from photographs onto the template of ``geometry``.

    Args:
        chips: (N, height, width, 3) uint8 RGB, of the geometry's height and width.
        geometry: what the network takes.

    Returns:
        (N, 3, height, width) float32, (x - mean) / scale.

    Raises:
        ValueError: chips of another shape or type.
    """
    _check(chips, *geometry.size)
    return _scaled(chips, geometry)


def _check(images: np.ndarray, height: int, width: int) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != (height, width, 3):
        raise ValueError(
            f"faces must be (N, {height}, {width}, 3) uint8, not {images.shape} {images.dtype}"
        )


def _scaled(images: np.ndarray, geometry: CropGeometry) -> np.ndarray:
    """(N, height, width, 3) pixels of any type -> (N, 3, height, width) float32 input."""
    scaled = np.empty((len(images), 3, *geometry.size), np.float32)
    scaled[...] = images.transpose(0, 3, 1, 2)
    scaled -= np.asarray(geometry.mean, np.float32).reshape(-1, 1, 1)
    scaled /= np.float32(geometry.scale)
    return scaled


class _Neighbours(NamedTuple):
    """Of one of the four pixels that a pixel of the input lies between, for all of the input.

    Attributes:
        pixels: (height * width,) which pixel of the crop, row after row.
        shares: (height * width, 1) float32, how much of it.
    """

    pixels: np.ndarray
    shares: np.ndarray


def _resampled(crops: np.ndarray, geometry: CropGeometry) -> np.ndarray:
    """(N, 112, width, 3) -> (N, height, width, 3) float32, between four pixels each."""
    count, height, width = crops.shape[:3]
    # All crops' values of a pixel stand together, so that they are gathered at once.
    rows = crops.transpose(1, 2, 0, 3).reshape(height * width, 3 * count).astype(np.float32)
    first, *others = _neighbours(geometry)
    found = rows.take(first.pixels, axis=0, mode="clip")  # none is outside; this is the fastest way
    found *= first.shares
    part = np.empty_like(found)
    for pixels, shares in others:
        rows.take(pixels, axis=0, mode="clip", out=part)
        part *= shares
        found += part
    return found.reshape(*geometry.size, count, 3).transpose(2, 0, 1, 3)


@lru_cache(maxsize=8)
def _neighbours(geometry: CropGeometry) -> tuple[_Neighbours, ...]:
    x, y = _places(geometry)
    width = geometry.columns[1] - geometry.columns[0]
    left, upper = x.astype(np.intp), y.astype(np.intp)
    right, lower = np.minimum(left + 1, width - 1), np.minimum(upper + 1, CROP_SIZE - 1)
    across, down = x - left.astype(np.float32), y - upper.astype(np.float32)
    return tuple(
        _Neighbours((row * width + column).ravel(), (by_row * by_column).reshape(-1, 1))
        for row, by_row in ((upper, 1 - down), (lower, down))
        for column, by_column in ((left, 1 - across), (right, across))
    )


def _places(geometry: CropGeometry) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the input lies: x and y, (height, width) float32, in the crop's pixels.

    The crop is cut to its columns. What lies outside it takes the nearest pixel of its border.
    """
    width = geometry.columns[1] - geometry.columns[0]
    if geometry.template is not None:
        places = places_in_crop(geometry) + np.float32(1)
        x, y = (_from_centre(CROP_SIZE / 2, places[..., axis]) for axis in (0, 1))
    else:
        x, y = np.meshgrid(
            *(
                _from_centre(np.float32(size) / np.float32(wanted), np.arange(wanted) + 0.5)
                for size, wanted in ((width, geometry.width), (CROP_SIZE, geometry.height))
            )
        )
    return np.clip(x, 0, width - 1), np.clip(y, 0, CROP_SIZE - 1)


def _from_centre(factor: float | np.float32, places: np.ndarray) -> np.ndarray:
    """factor * places - 0.5, rounded to float32 once, as PyTorch's fused multiply-add does."""
    return (float(factor) * places.astype(np.float64) - 0.5).astype(np.float32)
