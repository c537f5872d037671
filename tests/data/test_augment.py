import numpy as np
import pytest
from pydantic import ValidationError

from mfr.data.augment import AugmentConfig, Augmenter, make_augmentation
from mfr.errors import ConfigError
from tests.training.methods import outside

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


OUTSIDE = "tests.training.methods.outside"


def test_the_standard_augmentation_is_albumentations(crops):
    made = make_augmentation("standard", AugmentConfig(**{**NOTHING, "flip": 1.0}))
    assert isinstance(made, Augmenter)
    assert (made(crops, seed=0) == crops[:, :, ::-1]).all()


@pytest.mark.parametrize("name", ["negative", "Noise"])
def test_an_augmentation_from_outside(crops, name):
    made = make_augmentation(f"{OUTSIDE}:{name}", AugmentConfig())
    own = getattr(outside, name)()
    assert (made(crops, seed=3) == own(crops, seed=3)).all()
    assert (made(crops, seed=3) != crops).any()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("fancy", "There is no augmentation 'fancy': choose one of standard"),
        (f"{OUTSIDE}:floats", r"has to return uint8 .*returned float64 values of shape"),
        (f"{OUTSIDE}:smaller", r"returned uint8 values of shape \(2, 56, 56, 3\)"),
        (f"{OUTSIDE}:tensors", "returned a Tensor"),
        (f"{OUTSIDE}:wants_settings", r"has to take \(\)"),
        (f"{OUTSIDE}:takes_too_little", r"has to take \(\)"),
        (f"{OUTSIDE}:__doc__", "is not a function or a class"),
    ],
)
def test_what_gives_no_crops_is_refused(name, complaint):
    with pytest.raises(ConfigError, match=complaint):
        make_augmentation(name, AugmentConfig())


def test_settings_of_the_standard_augmentation_are_not_ignored():
    with pytest.raises(ConfigError, match=r"does not read \[augment\]"):
        make_augmentation(f"{OUTSIDE}:negative", AugmentConfig(flip=0.1))
