from __future__ import annotations

import cv2
import numpy as np
import pytest

from mfr.simulation.draws import Draws
from mfr.simulation.photograph import grain, study, tinted, to_levels, to_linear
from tests.simulation.made_up_faces import FRONTAL, skin


def test_light_falls_from_the_brighter_side():
    for left, right, sign in ((200, 90, -1), (90, 200, 1)):
        light = study(skin(left=left, right=right), FRONTAL).light
        assert np.sign(light.direction[0]) == sign
        towards = np.array([[sign * 0.8, 0, 0.6], [-sign * 0.8, 0, 0.6]])
        bright, dark = light.on(towards)
        assert bright > 1.3 * dark > 0
    assert abs(study(skin(), FRONTAL).light.direction[0]) < 0.05


def test_a_brighter_face_is_measured_as_more_light():
    levels = [
        study(skin(left=level, right=level), FRONTAL).light.ambient for level in (60, 120, 200)
    ]
    assert levels[0] < levels[1] < levels[2]


def test_a_grey_photo_is_grey_and_what_is_tinted_in_it_too():
    photograph = study(skin(grey=True), FRONTAL)
    assert photograph.saturation == 0
    colours = tinted(np.random.default_rng(0).random((4, 5, 3)).astype(np.float32), photograph)
    assert (colours == colours[..., :1]).all()
    noise = grain(photograph, Draws(0, "x"), 112)
    assert (noise == noise[..., :1]).all()
    assert study(skin(), FRONTAL).saturation == 1


def edges(blur: float, noise: float, squares: int = 7) -> np.ndarray:
    side = 112 // squares
    picture = np.indices((squares, squares)).sum(axis=0) % 2
    picture = np.kron(picture, np.ones((side, side))) * 120 + 60
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), blur)
    picture = picture + np.random.default_rng(0).normal(0, noise, picture.shape)
    return np.repeat(picture.round().clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("blur", [0.7, 1.2, 2.0])
def test_blur_is_measured(blur):
    assert study(edges(blur, 0.5), FRONTAL).blur == pytest.approx(blur, rel=0.3)


def test_noise_is_measured_and_given_back():
    found = [study(edges(1.0, noise, 2), FRONTAL).noise for noise in (0.5, 3.0, 6.0)]
    assert found[0] < 1 and found[1] == pytest.approx(3, rel=0.5)
    assert found[2] == pytest.approx(2 * found[1], rel=0.3)
    photograph = study(edges(1.0, 3.0, 2), FRONTAL)
    assert grain(photograph, Draws(0, "x"), 112).std() == pytest.approx(photograph.noise, rel=0.1)


def test_parts_beyond_the_photo_are_found_and_dark_parts_of_it_are_not():
    crop = skin()
    crop[:20] = 0
    crop[60:66, 60:66] = 0
    shown = study(crop, FRONTAL).shown
    assert not shown[:20].any() and shown[22:].all()


def test_levels_and_light_are_inverse_below_the_shoulder():
    levels = np.arange(0, 200, dtype=np.uint8).reshape(1, -1, 1)
    np.testing.assert_allclose(to_levels(to_linear(levels)), levels, atol=1e-3)
    assert to_levels(np.float32(4.0)) < 255


def test_draws_are_uniform_normal_and_named():
    draws = Draws(0, "a")
    assert np.mean([draws.uniform(2, 4) for _ in range(2000)]) == pytest.approx(3, abs=0.05)
    noise = draws.normal(100, 200)
    assert noise.shape == (100, 200) and noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0, abs=0.02) and noise.std() == pytest.approx(1, abs=0.02)
    picks = [draws.choice({"a": 3.0, "b": 1.0}) for _ in range(2000)]
    assert picks.count("a") / 2000 == pytest.approx(0.75, abs=0.04)
    again, other_name, other_seed = Draws(0, "a"), Draws(0, "b"), Draws(1, "a")
    first = Draws(0, "a").uniform()
    assert again.uniform() == first
    assert other_name.uniform() != first != other_seed.uniform()
