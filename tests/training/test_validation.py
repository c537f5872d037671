"""Held-out people in the conditions that a run simulates."""

from __future__ import annotations

import numpy as np
import pytest

from mfr.data.loading import load_crop, load_crops
from mfr.errors import ConfigError
from mfr.simulation import CONDITIONS
from mfr.simulation.draws import Draws
from mfr.training.validation import Validator
from tests.data.test_simulated import made


class Watched:
    """In place of an encoder: remembers what it is shown, and embeds by mean colours."""

    def __init__(self):
        self.shown = []

    def embed(self, crops):
        self.shown.append(crops)
        means = crops.reshape(len(crops), -1).astype(np.float32)[:, ::997]
        return means / np.linalg.norm(means, axis=1, keepdims=True)


@pytest.fixture
def people(tmp_path):
    """Three people in the domain a, two in b, one of them in both; two images each."""
    return made(tmp_path)


def test_held_out_people_of_all_sources_are_judged_in_each_condition(people):
    encoder = Watched()
    judged = Validator(people, 0, ["jpeg", "nir"]).judge(encoder)
    assert list(judged) == ["a", "b", "simulated:jpeg", "simulated:nir"]
    assert [len(one.persons) for one in judged.values()] == [6, 4, 10, 10]
    # 'eve' is in both domains, and one person: 4 people of 10 images, 3 with a pair, she with 6.
    assert len(judged["simulated:nir"].compared.mated.scores) == 3 * 1 + 6
    infrared = CONDITIONS.find("nir")
    expected = [
        infrared.change(load_crop(crop), Draws(0, f"nir {path}"))
        for crop, path in zip(people.crop_paths(), people.column("path"), strict=True)
    ]
    np.testing.assert_array_equal(encoder.shown[3], expected)


def test_what_is_judged_stays_the_same_and_real_domains_do_not_notice(people):
    validator, first, second, real = Validator(people, 3, ["webcam"]), *(Watched() for _ in "123")
    validator.judge(first)
    validator.judge(second)
    Validator(people, 3).judge(real)
    assert len(first.shown) == 3 and len(real.shown) == 2
    for one, other in zip(first.shown, second.shown, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(real.shown, first.shown[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(real.shown[0], load_crops(people.where(domains=["a"])))


@pytest.mark.slow
def test_nobody_is_judged_by_what_cannot_be_drawn(people):
    # Masks need landmarks; only those of one person are known.
    landmarks = people.column("landmarks")
    few = people.with_columns({"landmarks": [*landmarks[:2], *[None] * 8]})
    assert list(Validator(few, 0, ["mask"]).judge(Watched())) == ["a", "b"]
    assert list(Validator(people, 0, ["mask"]).judge(Watched())) == ["a", "b", "simulated:mask"]
    nobody = people.where(splits=["val"])
    assert Validator(nobody, 0, ["mask", "nir"]).judge(Watched()) == {}
    with pytest.raises(ConfigError, match="no condition 'rain'"):
        Validator(people, 0, ["rain"])
