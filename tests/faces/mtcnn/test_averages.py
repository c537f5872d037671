from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate, pad

from mfr.faces.mtcnn.averages import AreaAverages

CPU = torch.device("cpu")


def photos() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = [(40, 60, 3), (33, 25, 3), (90, 7, 3)]
    return [generator.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def tensor(photo: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(photo).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (20, 30), (40, 60), (77, 61)])
def test_a_whole_image_shrinks_as_torch_shrinks_it(size):
    averages = AreaAverages(photos(), CPU)
    for position, photo in enumerate(photos()):
        expected = interpolate(tensor(photo), size=size, mode="area")
        torch.testing.assert_close(averages.whole(position, size), expected, rtol=0, atol=1e-4)


def test_patches_are_those_of_torch_on_black():
    boxes = [(0, 0, 0, 24, 24), (0, 5, 3, 60, 40), (1, -9, 30, 20, 59), (2, -3, 80, 12, 95),
             (1, 24, 32, 25, 33), (0, -50, -50, 70, 70), (2, 100, 0, 130, 30)]  # fmt: skip
    owners = torch.tensor([box[0] for box in boxes])
    corners = torch.tensor([box[1:] for box in boxes])
    patches = AreaAverages(photos(), CPU).patches(owners, corners, 24)
    margin = 150
    for patch, (owner, x0, y0, x1, y1) in zip(patches, boxes, strict=True):
        wide = pad(tensor(photos()[owner]), (margin,) * 4)
        cut = wide[:, :, margin + y0 : margin + y1, margin + x0 : margin + x1]
        expected = interpolate(cut, size=(24, 24), mode="area")[0]
        torch.testing.assert_close(patch, expected, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_largest_sums_do_not_overflow():
    white = np.full((2000, 4000, 3), 255, np.uint8)
    averages = AreaAverages([white, white], CPU)
    assert (averages.whole(1, (1, 1)) == 255).all()
    whole = averages.patches(torch.tensor([1]), torch.tensor([[0, 0, 4000, 2000]]), 1)
    assert (whole == 255).all()
