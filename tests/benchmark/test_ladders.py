"""Faults in rising strength: what each does to a crop."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from mfr.benchmark.ladders import LADDERS, apply_fault


@pytest.fixture(scope="module")
def crop():
    y, x = np.mgrid[:112, :112]
    coarse = np.random.default_rng(0).uniform(90, 220, (14, 14, 3)).astype(np.float32)
    face = cv2.resize(coarse, (112, 112), interpolation=cv2.INTER_CUBIC)
    return (face + 10 * ((x + y) % 2)[..., None]).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", LADDERS)
def test_the_first_rung_is_the_crop_and_the_others_leave_it_further_behind(name, crop):
    before = crop.copy()
    rungs = [
        apply_fault(name, strength, crop, seed=0, path="a") for strength in LADDERS[name].strengths
    ]
    np.testing.assert_array_equal(rungs[0], crop)
    np.testing.assert_array_equal(crop, before)
    distances = [np.abs(rung.astype(float) - crop).mean() for rung in rungs]
    # Where a coarse grid happens to fit the picture, a rung may be a little nearer than the last.
    assert all(after > 0.9 * before for before, after in pairwise(distances))
    assert distances[1] > 0 and max(distances) == distances[-1]
    assert all(rung.shape == crop.shape and rung.dtype == np.uint8 for rung in rungs)


def test_strengths_are_what_they_say(crop):
    def fault(name, strength, path="a"):
        return apply_fault(name, strength, crop, seed=0, path=path)

    for share in (0.1, 0.4):
        grey = (fault("occlusion", share) == 128).all(axis=2).mean()
        assert grey == pytest.approx(share, abs=0.01)
    # Half of the light is half of the linear brightness, the square of the level (simulation's).
    ratio = fault("darkness", 1).mean() / crop.mean()
    assert ratio == pytest.approx(0.5**0.5, abs=0.01)
    # A crop of 14 pixels holds no fine checks any more.
    rough = fault("resolution", 14).astype(float)
    assert (
        np.abs(np.diff(rough, axis=1)).mean() < np.abs(np.diff(crop.astype(float), axis=1)).mean()
    )
    # A mask of half the height leaves what is above it as it was.
    changed = (fault("mask", 0.5) != crop).any(axis=(1, 2))
    whole = (fault("mask", 1) != crop).any(axis=(1, 2))
    assert np.argmax(changed) > np.argmax(whole) > 30


def test_what_is_random_follows_from_seed_and_image(crop):
    def fault(seed, path):
        return apply_fault("occlusion", 0.1, crop, seed=seed, path=path)

    np.testing.assert_array_equal(fault(0, "a"), fault(0, "a"))
    assert (fault(0, "a") != fault(1, "a")).any() and (fault(0, "a") != fault(0, "b")).any()
