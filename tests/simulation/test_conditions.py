from __future__ import annotations

import numpy as np
import pytest

from mfr.geometry import TEMPLATE
from mfr.simulation import CONDITIONS
from mfr.simulation.conditions import OnFaces
from mfr.simulation.draws import Draws
from tests.simulation.made_up_faces import FRONTAL, posed, skin


def textured(*, grey: bool = False) -> np.ndarray:
    crop = skin(grey=grey).astype(np.int32)
    spots = np.random.default_rng(0).integers(-30, 31, (28, 28, 1))
    return (crop + np.kron(spots, np.ones((4, 4, 1), int))).clip(1, 255).astype(np.uint8)


def simulate(name: str, crop: np.ndarray, seed: int = 0) -> np.ndarray:
    condition = CONDITIONS.find(name)
    draws = Draws(seed, "x")
    if isinstance(condition, OnFaces):
        return condition.draw(crop, FRONTAL, draws)[0]
    return condition.change(crop, draws)


@pytest.mark.parametrize("name", CONDITIONS.names())
def test_a_condition_is_a_crop_of_its_own_the_same_each_time(name):
    crop = textured()
    drawn = simulate(name, crop)
    assert drawn.shape == (112, 112, 3) and drawn.dtype == np.uint8
    assert (drawn != crop).any()
    simulate(name, textured(grey=True), seed=4)  # something else in between
    np.testing.assert_array_equal(simulate(name, crop), drawn)
    assert (simulate(name, crop, seed=1) != drawn).any()
    np.testing.assert_array_equal(crop, textured())


@pytest.mark.parametrize("name", ["nir", "sketch"])
def test_near_infrared_and_sketches_are_grey(name):
    drawn = simulate(name, textured())
    assert (drawn == drawn[:, :, :1]).all()


@pytest.mark.parametrize("name", CONDITIONS.names())
def test_grey_stays_grey(name):
    drawn = simulate(name, textured(grey=True))
    assert (drawn == drawn[:, :, :1]).all()


def test_near_infrared_brightens_red_and_keeps_eyes_dark():
    crop = skin()
    crop[80:90, 46:66] = (200, 80, 80)  # lips
    crop[48:55, 34:43] = (30, 20, 18)  # an eye
    plain, infrared = (
        picture.astype(float).mean(axis=2) for picture in (crop, simulate("nir", crop))
    )

    def ratio(picture: np.ndarray, part: tuple[slice, slice]) -> float:
        return float(picture[part].mean() / picture[60:75, 75:90].mean())

    lips, eye = (slice(82, 88), slice(50, 62)), (slice(49, 54), slice(35, 42))
    assert ratio(infrared, lips) > ratio(plain, lips) + 0.1
    assert ratio(infrared, eye) < 0.5


def test_sunglasses_darken_the_eyes_and_leave_the_mouth():
    for seed in range(4):
        crop = skin()
        dark, clear = simulate("sunglasses", crop, seed), simulate("glasses", crop, seed)
        column, row = TEMPLATE[:2].round().astype(int).T
        assert dark[row, column].mean() < 0.65 * crop[row, column].mean()
        assert clear[row, column].mean() > 0.8 * crop[row, column].mean()
        np.testing.assert_array_equal(dark[82:], crop[82:])


def test_a_temple_is_seen_on_the_near_side_only():
    condition = CONDITIONS.find("glasses")
    assert isinstance(condition, OnFaces)
    crop = skin()
    drawn, record = condition.draw(crop, posed(yaw=35), Draws(0, "x"))
    changed = (drawn != crop).any(axis=2)
    assert changed[:, :12].any() and not changed[:, 100:].any()
    assert set(record) == {"kind", "colour"}


def test_a_low_resolution_crop_has_no_fine_detail():
    crop = textured()
    fine = [
        np.diff(picture.astype(float), axis=1).std()
        for picture in (crop, simulate("low-resolution", crop))
    ]
    assert fine[1] < 0.6 * fine[0]
