"""Crops that a gallery keeps: without loss, and only where it was said."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mfr.errors import ImageError
from mfr.gallery.crops import crop_bytes, crop_pixels, keeps_crops, settle_keeping
from mfr.gallery.store import create_store
from mfr.png import png_bytes


def test_a_kept_crop_comes_back_to_the_bit() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    np.testing.assert_array_equal(crop_pixels(crop_bytes(crop)), crop)


def test_what_is_no_crop_is_refused() -> None:
    with pytest.raises(ImageError, match="112 x 112"):
        crop_pixels(png_bytes(np.zeros((112, 111, 3), np.uint8)))
    with pytest.raises(ImageError):
        crop_pixels(b"kept")


def test_a_gallery_remembers_whether_it_keeps_crops(tmp_path: Path) -> None:
    with closing(create_store(tmp_path / "g", model_hash="feed", embedding_size=3)) as store:
        assert not keeps_crops(store)
        for keep in (True, True, False):
            settle_keeping(store, keep)
            assert keeps_crops(store) == keep
