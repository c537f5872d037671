"""From a 112 x 112 crop to what a network takes: columns, size, number range."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from mfr.geometry import CROP_SIZE, CropGeometry


def network_input(crops: torch.Tensor, geometry: CropGeometry) -> torch.Tensor:
    """Cut, resize and scale crops, in that order.

    Pixels stay uint8 until they are here, a quarter of the memory and of the copy to a device.

    Args:
        crops: (N, 112, 112, 3) uint8 RGB, on any device.
        geometry: what the network takes.

    Returns:
        (N, 3, height, width) float32 on the same device, (x - mean) / scale.

    Raises:
        ValueError: crops of another shape or type.
    """
    if crops.dtype != torch.uint8 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE, 3):
        raise ValueError(
            f"crops must be (N, {CROP_SIZE}, {CROP_SIZE}, 3) uint8, "
            f"not {tuple(crops.shape)} {crops.dtype}"
        )
    first, last = geometry.columns
    images = crops[:, :, first:last].permute(0, 3, 1, 2).float().contiguous()
    size = (geometry.height, geometry.width)
    # interpolate refuses an empty batch
    if images.shape[2:] != size and len(images):
        images = F.interpolate(images, size, mode="bilinear", align_corners=False)
    return (images.reshape(-1, 3, *size) - geometry.mean) / geometry.scale
