"""What a network takes of a face: placement, size and number range, with PyTorch's tensors.

`mfr.embedding.preparation` does the same with NumPy's arrays.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch.nn import functional as F

from mfr.geometry import CROP_SIZE, CropGeometry, places_in_crop


def network_input(crops: torch.Tensor, geometry: CropGeometry) -> torch.Tensor:
    """Place, resize and scale crops, as `mfr.geometry.CropGeometry` says.

    Pixels stay uint8 until they are here, a quarter of the memory and of the copy to a device.

    Args:
        crops: (N, 112, 112, 3) uint8 RGB, on any device.
        geometry: what the network takes.

    Returns:
        (N, 3, height, width) float32 on the same device, (x - mean) / scale.

    Raises:
        ValueError: crops of another shape or type.
    """
    _check(crops, CROP_SIZE, CROP_SIZE)
    return _placed(crops, geometry)


def pixel_input(pixels: torch.Tensor, geometry: CropGeometry) -> torch.Tensor:
    """As `network_input`, of crops that are floating-point, 0-255; gradients flow back to them."""
    return _placed(pixels, geometry)


def _placed(crops: torch.Tensor, geometry: CropGeometry) -> torch.Tensor:
    first, last = geometry.columns
    images = crops[:, :, first:last].permute(0, 3, 1, 2).float().contiguous()
    size = geometry.size
    count = images.shape[0]  # not len(): in a graph that would be the number of the example
    # Neither function takes an empty batch.
    if geometry.template is not None and count:
        places = _places(geometry).to(images.device)
        images = F.grid_sample(
            images,
            places.expand(count, *places.shape),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
    elif images.shape[2:] != size and count:
        images = F.interpolate(images, size, mode="bilinear", align_corners=False)
    return _scaled(images.reshape(-1, 3, *size), geometry)


def chip_input(chips: torch.Tensor, geometry: CropGeometry) -> torch.Tensor:
    """Scale faces that were cut from photographs onto the template of ``geometry``.

    Args:
        chips: (N, height, width, 3) uint8 RGB, on any device.
        geometry: what the network takes.

    Returns:
        (N, 3, height, width) float32 on the same device, (x - mean) / scale.

    Raises:
        ValueError: chips of another shape or type.
    """
    _check(chips, geometry.height, geometry.width)
    return _scaled(chips.permute(0, 3, 1, 2).float().contiguous(), geometry)


def _check(images: torch.Tensor, height: int, width: int) -> None:
    if images.dtype != torch.uint8 or images.shape[1:] != (height, width, 3):
        raise ValueError(
            f"faces must be (N, {height}, {width}, 3) uint8, "
            f"not {tuple(images.shape)} {images.dtype}"
        )


def _scaled(images: torch.Tensor, geometry: CropGeometry) -> torch.Tensor:
    mean = geometry.mean
    if isinstance(mean, tuple):
        return (images - images.new_tensor(mean)[:, None, None]) / geometry.scale
    return (images - mean) / geometry.scale


@lru_cache(maxsize=8)
def _places(geometry: CropGeometry) -> torch.Tensor:
    return torch.from_numpy(places_in_crop(geometry))
