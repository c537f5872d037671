import numpy as np
import pytest
from pydantic import ValidationError

from mfr.data.augment import AugmentConfig, Augmenter

NOTHING = dict.fromkeys(("flip", "affine", "colour", "blur", "jpeg", "grey", "occlusion"), 0.0)


@pytest.fixture
def crops():
    return np.random.default_rng(0).integers(0, 256, (16, 112, 112, 3), dtype=np.uint8)


def test_the_same_seed_gives_the_same_bytes_whatever_came_before(crops):
    augmenter = Augmenter(AugmentConfig())
    first = augmenter(crops, seed=5)
    other = augmenter(crops, seed=6)
    assert (augmenter(crops, seed=5) == first).all()
    assert (Augmenter(AugmentConfig())(crops, seed=5) == first).all()
    assert (other != first).any()
    assert first.shape == crops.shape
    assert first.dtype == np.uint8


def test_nothing_asked_nothing_done(crops):
    assert (Augmenter(AugmentConfig(**NOTHING))(crops, seed=0) == crops).all()


def test_flip_mirrors_left_and_right(crops):
    changed = Augmenter(AugmentConfig(**{**NOTHING, "flip": 1.0}))(crops, seed=0)
    assert (changed == crops[:, :, ::-1]).all()


def test_grey_keeps_three_equal_channels(crops):
    changed = Augmenter(AugmentConfig(**{**NOTHING, "grey": 1.0}))(crops, seed=0)
    assert (changed == changed[..., :1]).all()


def test_occlusion_is_one_box(crops):
    changed = Augmenter(AugmentConfig(**{**NOTHING, "occlusion": 1.0}))(crops, seed=0)
    for before, after in zip(crops, changed, strict=True):
        rows, columns = np.nonzero((before != after).any(axis=2))
        box = after[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box == 127).all()
        assert 16 <= len(box) <= 56


def test_a_probability_above_one_is_refused():
    with pytest.raises(ValidationError):
        AugmentConfig(flip=1.5)
