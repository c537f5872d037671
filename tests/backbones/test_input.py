import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mfr.backbones import backbone_spec
from mfr.backbones.input import chip_input, network_input
from mfr.geometry import TEMPLATE, CropGeometry, similarity_transform


@pytest.fixture
def crops():
    return torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    )


@given(
    st.integers(0, 1), st.integers(0, 2), st.integers(0, 111), st.integers(0, 95), st.integers(0, 9)
)
def test_narrow_input_is_the_middle_of_the_crop(image, channel, row, column, seed):
    crops = torch.randint(
        0, 256, (2, 112, 112, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    x = network_input(crops, backbone_spec("mobilefacenet-112x96").geometry)
    assert x.shape == (2, 3, 112, 96)
    pixel = crops[image, row, column + 8, channel].item()
    assert x[image, channel, row, column].item() == pytest.approx((pixel - 127.5) / 128, abs=1e-7)


def test_number_ranges(crops):
    crops[0, 0, 0, 0], crops[0, 0, 1, 0] = 0, 255
    arcface = network_input(crops, backbone_spec("iresnet50").geometry)
    assert arcface[0, 0, 0, :2].tolist() == [-1, 1]
    ours = network_input(crops, backbone_spec("mobilefacenet").geometry)
    assert ours[0, 0, 0, :2].tolist() == [-127.5 / 128, 127.5 / 128]


def test_halving_averages_squares_of_four(crops):
    x = network_input(crops, CropGeometry(height=56, width=56, mean=0, scale=1))
    quads = crops.float().reshape(2, 56, 2, 56, 2, 3).mean(dim=(2, 4)).permute(0, 3, 1, 2)
    torch.testing.assert_close(x, quads, atol=1e-4, rtol=0)


def test_enlarging_is_bilinear_between_pixel_centres(crops):
    x = network_input(crops, CropGeometry(height=120, width=120, mean=0, scale=1))
    assert x.shape == (2, 3, 120, 120)
    centres = np.clip((np.arange(120) + 0.5) * 112 / 120 - 0.5, 0, 111)
    image = crops[1, :, :, 2].numpy().astype(np.float64)
    across = np.stack([np.interp(centres, np.arange(112), row) for row in image])
    both = np.stack([np.interp(centres, np.arange(112), column) for column in across.T]).T
    np.testing.assert_allclose(x[1, 2].numpy(), both, atol=5e-3)


@pytest.mark.parametrize(
    "name", ["mobilefacenet-112x96", "mfr-resnet28", "facenet", "smallfacenet"]
)
def test_no_crops_give_no_input(name):
    geometry = backbone_spec(name).geometry
    x = network_input(torch.empty(0, 112, 112, 3, dtype=torch.uint8), geometry)
    assert x.shape == (0, 3, geometry.height, geometry.width) and x.dtype == torch.float32


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(1, 112, 112, 3),
        torch.zeros(1, 3, 112, 112, dtype=torch.uint8),
        torch.zeros(112, 112, 3, dtype=torch.uint8),
    ],
)
def test_other_shapes_and_types_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        network_input(wrong, CropGeometry())


EYES_UP = CropGeometry(
    height=150,
    width=150,
    template=((47.5, 46.6), (100.5, 46.6), (74.0, 76.6), (50.4, 103.0), (97.6, 103.0)),
    mean=(10.0, 20.0, 30.0),
    scale=2.0,
)


def test_a_template_moves_landmarks_onto_their_places():
    # A crop of whole numbers that rise along x and y shows where each pixel comes from.
    y, x = np.mgrid[:112, :112]
    crop = np.stack([x, y, x], axis=-1).astype(np.uint8)
    images = network_input(torch.from_numpy(crop[None]), EYES_UP)[0] * 2
    back = similarity_transform(np.array(EYES_UP.template), TEMPLATE)
    for column, row in ((60, 40), (74, 76), (97, 103)):
        at = back[:, :2] @ (column, row) + back[:, 2]
        assert images[0, row, column] + 10 == pytest.approx(at[0], abs=1e-3)
        assert images[1, row, column] + 20 == pytest.approx(at[1], abs=1e-3)
    # Below the crop, its last row is repeated.
    lowest = back[:, :2] @ (74, 149) + back[:, 2]
    assert lowest[1] > 112 and images[1, 149, 74] + 20 == 111


def test_chips_are_taken_as_they_are():
    chips = torch.randint(0, 256, (2, 150, 150, 3), dtype=torch.uint8)
    images = chip_input(chips, EYES_UP)
    assert images.shape == (2, 3, 150, 150)
    assert torch.equal(images[1, 2] * 2 + 30, chips[1, :, :, 2].float())
    with pytest.raises(ValueError, match="150, 150"):
        chip_input(chips[:, :112], EYES_UP)


def test_an_empty_batch_with_a_template():
    empty = torch.zeros(0, 112, 112, 3, dtype=torch.uint8)
    assert network_input(empty, EYES_UP).shape == (0, 3, 150, 150)


def test_a_geometry_without_a_template_is_recorded_as_before_there_were_any():
    assert "template" not in CropGeometry().model_dump()
    assert CropGeometry.model_validate_json(EYES_UP.model_dump_json()) == EYES_UP
    for wrong in (
        {"mean": float("nan")},
        {"template": ((0.0, 0.0),) * 5},
        {"template": EYES_UP.template, "columns": (8, 104)},
    ):
        with pytest.raises(ValidationError):
            CropGeometry(**wrong)
