"""PNG files: written whole or not at all, or in bulk by a caller who flushes them together."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from mfr import atomic

COMPRESSION: Final = 3
"""zlib's level: higher ones save a few percent of a crop and take several times as long."""


def write_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write an (H, W, 3) uint8 RGB image as a PNG file, whole or not at all.

    Raises:
        WriteError: the disk is full or the place not writable; what was there is untouched.
    """
    atomic.write_bytes(path, png_bytes(pixels))


def write_png_unflushed(path: Path, pixels: np.ndarray, compression: int = COMPRESSION) -> None:
    """Write a PNG file that a crash may tear, making its directories.

    For bulk writers: flushing every file would take longer than drawing it, so they flush many
    files together, and record what they wrote only then.

    Raises:
        WriteError: the disk is full, or the place not writable or a symbolic link.
    """
    atomic.write_unflushed(path, png_bytes(pixels, compression))


def png_bytes(pixels: np.ndarray, compression: int = COMPRESSION) -> bytes:
    """The PNG file of an (H, W, 3) uint8 RGB image; ``compression`` is zlib's level, 0 to 9."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG", compress_level=compression)
    return data.getvalue()
