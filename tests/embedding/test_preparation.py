"""Network input made with NumPy's arrays: by hand, and as PyTorch makes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfr.backbones import backbone_names, backbone_spec, input
from mfr.embedding.preparation import chip_input, network_input
from mfr.geometry import TEMPLATE, CropGeometry, similarity_transform


def noise(count: int, height: int = 112, width: int = 112, seed: int = 0) -> np.ndarray:
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_pixels_are_scaled_by_channel() -> None:
    crops = np.zeros((1, 112, 112, 3), np.uint8)
    crops[0, 3, 5] = (10, 20, 255)
    geometry = CropGeometry(mean=(10.0, 30.0, 5.0), scale=2.0)
    found = network_input(crops, geometry)
    assert found.shape == (1, 3, 112, 112) and found.dtype == np.float32
    assert found[0, :, 3, 5].tolist() == [0, -5, 125]
    assert found[0, :, 0, 0].tolist() == [-5, -15, -2.5]


def test_columns_are_cut_out() -> None:
    crops = noise(2)
    found = network_input(crops, CropGeometry(width=96, columns=(8, 104), mean=0, scale=1))
    assert np.array_equal(found[1, 2], crops[1, :, 8:104, 2])


def test_halving_averages_squares_of_four() -> None:
    crops = noise(2)
    found = network_input(crops, CropGeometry(height=56, width=56, mean=0, scale=1))
    quads = crops.astype(float).reshape(2, 56, 2, 56, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(found, quads.transpose(0, 3, 1, 2), atol=1e-4)


def test_a_template_moves_landmarks_onto_their_places() -> None:
    # A crop of whole numbers that rise along x and y shows where each pixel comes from.
    y, x = np.mgrid[:112, :112]
    crops = np.stack([x, y, x], axis=-1).astype(np.uint8)[None]
    wanted = ((47.5, 46.6), (100.5, 46.6), (74.0, 76.6), (50.4, 103.0), (97.6, 103.0))
    geometry = CropGeometry(height=150, width=150, template=wanted, mean=0, scale=1)
    (found,) = network_input(crops, geometry)
    back = similarity_transform(np.array(wanted), TEMPLATE)
    for column, row in ((60, 40), (74, 76), (97, 103)):
        at = back[:, :2] @ (column, row) + back[:, 2]
        np.testing.assert_allclose(found[:2, row, column], at, atol=1e-3)
    assert (back[:, :2] @ (74, 149) + back[:, 2])[1] > 112
    assert found[1, 149, 74] == 111  # below the crop, its last row is repeated


@pytest.mark.parametrize("name", backbone_names())
def test_every_backbone_is_given_what_pytorch_would_give_it(name: str) -> None:
    geometry = backbone_spec(name).geometry
    crops, chips = noise(3), noise(3, *geometry.size)
    for ours, theirs, faces in (
        (network_input, input.network_input, crops),
        (chip_input, input.chip_input, chips),
    ):
        expected = theirs(torch.from_numpy(faces), geometry).numpy()
        np.testing.assert_allclose(ours(faces, geometry), expected, rtol=0, atol=1e-6)
        assert ours(faces[:0], geometry).shape == (0, 3, *geometry.size)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(0, 60),
    st.integers(61, 112),
    st.integers(0, 9),
)
def test_any_size_is_what_pytorch_makes_of_it(
    height: int, width: int, first: int, last: int, seed: int
) -> None:
    geometry = CropGeometry(height=height, width=width, columns=(first, last))
    crops = noise(1, seed=seed)
    expected = input.network_input(torch.from_numpy(crops), geometry).numpy()
    # A place that PyTorch rounds otherwise, on another processor, moves by a millionth of a pixel.
    np.testing.assert_allclose(network_input(crops, geometry), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 112, 112, 3), np.float32),
        np.zeros((1, 3, 112, 112), np.uint8),
        np.zeros((112, 112, 3), np.uint8),
    ],
)
def test_other_shapes_and_types_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be"):
        network_input(wrong, CropGeometry())
    with pytest.raises(ValueError, match="150, 150"):
        chip_input(wrong, CropGeometry(height=150, width=150))
