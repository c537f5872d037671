"""Crops from disk to arrays: all at once, or by row as they are asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mfr.cpus import usable_cpus
from mfr.data.manifest import Manifest
from mfr.errors import DataError, ImageError
from mfr.geometry import CROP_SIZE
from mfr.images import read_image


def load_crop(path: Path) -> NDArray[np.uint8]:
    """One aligned crop, (112, 112, 3) RGB.

    Raises:
        DataError: missing, damaged or of another size.
    """
    try:
        crop = read_image(path)
    except ImageError as error:
        raise DataError(
            f"The crop {path} is missing or damaged: restore it, or let 'mfr data check DATASET "
            "--fix' forget such crops and align again."
        ) from error
    if crop.shape != (CROP_SIZE, CROP_SIZE, 3):
        raise DataError(
            f"The crop {path} is {crop.shape[1]}x{crop.shape[0]} pixels, not "
            f"{CROP_SIZE}x{CROP_SIZE}: run 'mfr data align' again."
        )
    return crop


def load_crops(manifest: Manifest) -> NDArray[np.uint8]:
    """All crops of ``manifest``, (N, 112, 112, 3) uint8 RGB in row order; 37 632 bytes each.

    Raises:
        DataError: a row has no crop, or a crop is missing, damaged or of another size.
    """
    paths = manifest.crop_paths()
    crops = np.empty((len(paths), CROP_SIZE, CROP_SIZE, 3), np.uint8)
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for row, crop in enumerate(pool.map(load_crop, paths)):
            crops[row] = crop
    return crops


class CropStore:
    """Crops by row, held in memory if they fit and otherwise read from disk when asked for.

    Args:
        manifest: rows with crops.
        memory: how many bytes the crops may take in memory.
    """

    def __init__(self, manifest: Manifest, memory: int) -> None:
        self._paths = manifest.crop_paths()
        fits = len(self._paths) * CROP_SIZE * CROP_SIZE * 3 <= memory
        self._crops = load_crops(manifest) if fits else None

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Crops of ``rows`` (n,): (n, 112, 112, 3) RGB, a copy."""
        if self._crops is not None:
            return self._crops[rows]
        crops = np.empty((len(rows), CROP_SIZE, CROP_SIZE, 3), np.uint8)
        for crop, row in zip(crops, rows, strict=True):
            crop[:] = load_crop(self._paths[row])
        return crops

    def drawn(self, rows: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
        """Crops of ``rows`` for a step whose ``seed`` draws what is drawn anew: here nothing is."""
        return self[rows]

    def undrawn(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The crops of ``rows`` with nothing drawn on them: of a store without drawings, all."""
        return self[rows]
