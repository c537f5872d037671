"""Crops as a gallery keeps them: without loss, and whether it does is the gallery's own setting.

They are WebP files without loss: of crops of LFW they take three quarters of the bytes of PNG
files, and less than half of the time to make (docs/results/kept-crops.md).
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image

from mfr.errors import ImageError
from mfr.gallery.store import Store
from mfr.geometry import CROP_SIZE
from mfr.images import read_image

_NOTE: Final = "keep crops"


def crop_bytes(crop: np.ndarray) -> bytes:
    """Encode a crop (112, 112, 3) uint8 RGB without loss."""
    data = io.BytesIO()
    Image.fromarray(crop).save(data, format="WEBP", lossless=True, method=0)
    return data.getvalue()


def crop_pixels(data: bytes) -> np.ndarray:
    """The crop (112, 112, 3) uint8 RGB that `crop_bytes` encoded.

    Raises:
        ImageError: it is something else.
    """
    crop = read_image(data)
    if crop.shape != (CROP_SIZE, CROP_SIZE, 3):
        raise ImageError(f"A kept crop is not {CROP_SIZE} x {CROP_SIZE}: use the photo.")
    return crop


def keeps_crops(store: Store) -> bool:
    """Whether the gallery in ``store`` keeps the crops of what is enrolled."""
    return store.note(_NOTE) == "yes"


def settle_keeping(store: Store, keep: bool) -> None:
    """Let the gallery in ``store`` keep crops from now on, or not."""
    if keep != keeps_crops(store):
        store.put_note(_NOTE, "yes" if keep else "no")
