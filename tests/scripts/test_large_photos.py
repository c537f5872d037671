from __future__ import annotations

import numpy as np
import pytest

from mfr.faces import Face, FaceCrop, FaceCropper, measure_quality
from mfr.geometry import TEMPLATE
from mfr.images import read_image
from scripts.study.large_photos import Moved, Seen, WithoutEnough, enlarged, tar


class Nobody:
    """A detector that finds nothing."""

    name, sure, enough = "nobody", 0.5, 100

    def detect(self, images):
        return [[] for _ in images]


def seen(x: float, y: float, embedding: list[float], grey: int = 0) -> Seen:
    """A face of which all landmarks lie x, y beside those of the template."""
    points = np.float32(TEMPLATE + np.array([x, y]))
    box = np.array([x, y, x + 100, y + 100], np.float32)
    crop, face = np.full((112, 112, 3), grey, np.uint8), Face(box, 1.0, points)
    quality = measure_quality(face, crop)
    return Seen(FaceCrop(crop, None, face, quality, "made up"), np.array(embedding))


def test_how_far_a_face_moved_is_told_in_pixels_of_the_crop_and_from_where_it_should_be():
    moved = Moved()
    moved.add(seen(0, 0, [1.0, 0.0]), seen(3, 4, [0.6, 0.8], grey=7))
    moved.add(seen(4, 4, [1.0, 0.0]), seen(0, 0, [1.0, 0.0]), shift=4)
    moved.add(seen(0, 0, [1.0, 0.0]), seen(60, 0, [1.0, 0.0]))  # another face
    assert moved.landmarks == pytest.approx([5.0, 0.0], abs=1e-3)
    assert (moved.grey, moved.cosines) == ([7.0, 0.0], pytest.approx([0.6, 1.0]))


def test_neighbours_are_of_one_person():
    """Of two pairs one is found above all strangers' scores, of which 0.1% is none."""
    found = [[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    assert tar([np.array(one) for one in found]) == 0.5


def test_before_is_a_detector_that_does_not_say_how_much_is_enough():
    assert FaceCropper(Nobody()).enough == 100
    before = WithoutEnough(Nobody())
    assert (FaceCropper(before).enough, before.sure) == (None, 0.5)


def test_an_enlarged_photo_has_the_short_side_asked_for_and_noise():
    pixels = read_image(enlarged(np.full((40, 60, 3), 100, np.uint8), 80, seed=0))
    assert pixels.shape == (80, 120, 3)
    assert pixels.mean() == pytest.approx(100, abs=1)
    assert 2 < pixels[:, :, 1].std() < 6
