"""Training augmentation: with albumentations, tuned in the run file, or a user's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mfr.errors import ConfigError
from mfr.geometry import CROP_SIZE
from mfr.outside import require_call
from mfr.registry import Registry

# albumentations asks the network for its newest version when imported, unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

STANDARD: Final = "standard"
"""The name of MFR's own augmentation, `Augmenter`."""
AUGMENTATIONS: Final[Registry[Callable[..., Any]]] = Registry(
    "augmentation", {STANDARD: "mfr.data.augment:Augmenter"}, ConfigError
)


class Augmentation(Protocol):
    """A way to change training crops at random.

    It owes the same bytes to the same crops and seed, whatever it did before and in whichever
    process it runs, for training is resumed to the bit; and it leaves the crops it is given alone.
    """

    def __call__(self, crops: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """Changed copies of ``crops``, (n, 112, 112, 3) RGB, by what ``seed`` draws for them."""
        ...


class AugmentConfig(BaseModel):
    """How often (probability for each image) and how strongly training images are changed."""

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
    erasing: float = Field(
        default=0.0, ge=0, le=1, description="one box of any colour, up to 40% of the image"
    )


class Augmenter:
    """Changes crops at random; the same seed gives the same bytes.

    Args:
        config: probabilities and strengths; with all probabilities 0, images stay as they are.
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
                *_erasing(config.erasing),
            ]
        )

    def __call__(self, crops: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """Changed copies of ``crops``.

        Args:
            crops: (N, h, w, 3) uint8 RGB.
            seed: of everything that is drawn for these N images.

        Returns:
            (N, h, w, 3) uint8 RGB.
        """
        self._pipeline.set_random_seed(seed)
        return np.stack([self._pipeline(image=crop)["image"] for crop in crops])


def _erasing(probability: float) -> list[Any]:
    """Random erasing (Zhong et al., AAAI 2020, with the paper's ranges); none draws nothing."""
    import albumentations as A

    if probability == 0:
        return []
    size, ratio = (0.02, 0.4), (0.3, 1 / 0.3)
    return [A.Erasing(scale=size, ratio=ratio, fill="random_uniform", p=probability)]


def make_augmentation(name: str, config: AugmentConfig) -> Augmentation:
    """The augmentation ``name``.

    Args:
        name: 'standard', or the place ``package.module:name`` of a function or class that returns
            an `Augmentation` when it is called without arguments.
        config: of the standard augmentation.

    Raises:
        ConfigError: there is none, it does not give crops for crops, or ``config`` is given for
            another than the standard one.
    """
    if name == STANDARD:
        return Augmenter(config)
    make = AUGMENTATIONS.find_anywhere(name)
    what = f"The augmentation '{name}'"
    if config != AugmentConfig():
        raise ConfigError(f"{what} does not read [augment], the {STANDARD} one's: leave it out.")
    require_call(what, make, (), error=ConfigError)
    augmentation = make()
    require_call(f"What {name}() returns", augmentation, ("crops", "seed"), error=ConfigError)
    checked = _Checked(what, augmentation)
    checked(np.zeros((2, CROP_SIZE, CROP_SIZE, 3), np.uint8), 0)
    return checked


class _Checked:
    """An augmentation from outside, which has to give crops for crops."""

    def __init__(self, what: str, augmentation: Augmentation) -> None:
        self._what, self._augmentation = what, augmentation

    def __call__(self, crops: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """The changed crops.

        Raises:
            ConfigError: they are of another shape or type.
        """
        changed = self._augmentation(crops, seed)
        if (
            not isinstance(changed, np.ndarray)
            or changed.shape != crops.shape
            or changed.dtype != np.uint8
        ):
            raise ConfigError(
                f"{self._what} has to return uint8 crops of shape {crops.shape}, and returned "
                f"{_described(changed)}: correct it."
            )
        return changed


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} values of shape {value.shape}"
    return f"a {type(value).__name__}"
