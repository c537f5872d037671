"""Training augmentation with albumentations, configured in the run file."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

# albumentations asks the network for its newest version when imported, unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


class AugmentConfig(BaseModel):
    """How often (probability per image) and how strongly training images are changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: float = Field(default=0.5, ge=0, le=1, description="mirror left and right")
    affine: float = Field(default=0.3, ge=0, le=1, description="small scale, shift and rotation")
    rotation: float = Field(default=5.0, ge=0, le=45, description="largest rotation, degrees")
    shift: float = Field(default=0.03, ge=0, le=0.5, description="largest shift, share of the side")
    zoom: float = Field(default=0.05, ge=0, lt=1, description="largest change of scale, share")
    colour: float = Field(default=0.3, ge=0, le=1, description="brightness, contrast, saturation")
    blur: float = Field(default=0.05, ge=0, le=1)
    jpeg: float = Field(default=0.1, ge=0, le=1)
    grey: float = Field(default=0.1, ge=0, le=1)
    occlusion: float = Field(default=0.1, ge=0, le=1, description="one grey box, up to half a side")


class Augmenter:
    """Changes crops at random; the same seed gives the same bytes.

    Args:
        config: probabilities and strengths; all probabilities 0 leave images as they are.
    """

    def __init__(self, config: AugmentConfig) -> None:
        import albumentations as A
        import cv2

        self._pipeline = A.Compose(
            [
                A.HorizontalFlip(p=config.flip),
                A.Affine(
                    scale=(1 - config.zoom, 1 + config.zoom),
                    translate_percent=(-config.shift, config.shift),
                    rotate=(-config.rotation, config.rotation),
                    border_mode=cv2.BORDER_REFLECT_101,
                    p=config.affine,
                ),
                A.ColorJitter(
                    brightness=(0.7, 1.3),
                    contrast=(0.7, 1.3),
                    saturation=(0.6, 1.4),
                    hue=(-0.02, 0.02),
                    p=config.colour,
                ),
                A.GaussianBlur(blur_limit=0, sigma_limit=(0.4, 1.6), p=config.blur),
                A.ImageCompression(quality_range=(30, 90), p=config.jpeg),
                A.ToGray(p=config.grey),
                A.CoarseDropout(
                    num_holes_range=(1, 1),
                    hole_height_range=(0.15, 0.5),
                    hole_width_range=(0.15, 0.5),
                    fill=127,
                    p=config.occlusion,
                ),
            ]
        )

    def __call__(self, crops: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """Changed copies of ``crops``.

        Args:
            crops: (N, h, w, 3) RGB.
            seed: of all that is drawn for these N images.

        Returns:
            (N, h, w, 3) RGB.
        """
        self._pipeline.set_random_seed(seed)
        return np.stack([self._pipeline(image=crop)["image"] for crop in crops])
