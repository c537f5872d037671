"""What a crop looks like, in numbers with a meaning."""

import numpy as np
import pytest

from mfr.benchmark.regions import fit_looks
from mfr.faces.appearance import BANDS, SIZE, describe_appearance


def stripes(period: int) -> np.ndarray:
    """Grey stripes of so many pixels a period."""
    wave = 127.5 + 100 * np.sin(2 * np.pi * np.arange(112) / period)
    return np.repeat(np.tile(wave, (112, 1))[..., None], 3, axis=2).astype(np.uint8)


def test_frequencies_are_told_apart():
    # 0.02 to 0.5 periods a pixel in 8 bands of a factor of 25^(1/8): 1/16 lies in the third.
    described = describe_appearance(np.stack([stripes(16), stripes(4)]))
    assert described.shape == (2, SIZE)
    assert described[0, :BANDS].argmax() == int(np.log(0.0625 / 0.02) / np.log(25 ** (1 / BANDS)))
    assert described[1, :BANDS].argmax() == int(np.log(0.25 / 0.02) / np.log(25 ** (1 / BANDS)))


def test_light_from_the_side_and_colour():
    plain = np.full((112, 112, 3), 120, np.uint8)
    lit = plain.copy()
    lit[:, :56] += 40
    red = plain.copy()
    red[..., 0] += 60
    said = describe_appearance(np.stack([plain, lit, lit[:, ::-1], red]))
    assert said[0, -1] == 0 and said[1, -1] == pytest.approx(2) == -said[2, -1]
    assert said[3, BANDS + 2] > said[0, BANDS + 2] + 1  # CIELAB's red-green axis
    assert (describe_appearance(np.zeros((0, 112, 112, 3), np.uint8))).shape == (0, SIZE)


def test_looks_tell_what_is_like_none_of_their_sources():
    rng = np.random.default_rng(0)
    grey = np.clip(rng.normal(120, 10, size=(200, 1, 1, 1)) + np.zeros((1, 112, 112, 3)), 0, 255)
    noisy = rng.normal(120, 40, size=(200, 112, 112, 3)).clip(0, 255)
    sources = [describe_appearance(each.astype(np.uint8)) for each in (grey, noisy)]
    looks = fit_looks(sources)
    for each in sources:
        assert looks.unlike(each).mean() <= 0.01
    assert looks.unlike(describe_appearance(np.stack([stripes(6), stripes(30)]))).all()
    assert type(looks).model_validate_json(looks.model_dump_json()) == looks
