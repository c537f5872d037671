"""What can be simulated on a domain; each condition changes one crop, by its own draws.

Their names are in `mfr.simulation.CONDITIONS`, which imports none of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mfr.faces.pose import Pose
from mfr.simulation.draws import Draws
from mfr.simulation.glasses import draw_glasses
from mfr.simulation.mask_drawing import draw_mask
from mfr.simulation.photograph import shown_part

# On import, albumentations looks for a newer version on the network unless this variable is set.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

Crop = NDArray[np.uint8]
Drawn = tuple[Crop, Mapping[str, Any]]
"""The changed crop, and what is recorded of it: kind, colour, placement and coverage, where they
apply."""


@dataclass(frozen=True)
class OnFaces:
    """A condition that is drawn onto a face of known pose: (crop, pose, draws) -> drawn."""

    draw: Callable[[Crop, Pose, Draws], Drawn]


@dataclass(frozen=True)
class OnCrops:
    """A condition that changes the whole crop: (crop, draws) -> crop."""

    change: Callable[[Crop, Draws], Crop]


def _mask(crop: Crop, pose: Pose, draws: Draws) -> Drawn:
    face = draw_mask(crop, pose, draws)
    return face.crop, asdict(face.record)


def near_infrared(crop: Crop, draws: Draws) -> Crop:
    """The face roughly as a camera with a near-infrared lamp beside its lens would show it.

    The picture is grey and grainy. Skin is bright, and blemishes and lips are pale, because red
    counts most; dark eyes and hair stay dark; the light falls off from the middle. The result is
    approximate: a colour photo does not show what reflects near-infrared light but not red light
    (dyed cloth, dark hair), and a grey photo shows nothing of the difference.
    """
    height, width = crop.shape[:2]
    linear = np.square(crop.astype(np.float32) / 255)
    mono = linear @ np.array([0.78, 0.17, 0.05], np.float32)
    face = mono[height // 4 : -height // 6, width // 4 : -width // 4]
    usual = max(float(np.median(face)), 0.01)
    relative = mono / usual
    # Skin, at values around 1, is compressed and bright; much darker parts are kept dark.
    tone = 0.42 * relative**0.6 / (1 + (0.22 / (relative + 0.02)) ** 2)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre = width * draws.uniform(0.45, 0.55), height * draws.uniform(0.5, 0.62)
    distance = np.hypot(x - centre[0], 0.85 * (y - centre[1])) / width
    tone *= draws.uniform(0.9, 1.25) / (1 + (distance / draws.uniform(0.5, 0.7)) ** 4)
    levels = 255 * np.sqrt(np.clip(tone, 0, 1))
    blurred = cv2.GaussianBlur(levels, (0, 0), draws.uniform(0.4, 0.9))
    return _grey(blurred + draws.uniform(1, 4) * draws.normal(height, width))


def sketch(crop: Crop, draws: Draws) -> Crop:
    """The face as a pencil drawing: dodged tones and difference-of-Gaussian lines on paper.

    The drawing is approximate: it keeps the photo's geometry exactly, as no artist does. The lines
    follow Winnemoeller et al., XDoG, Computers & Graphics 2012.
    """
    height, width = crop.shape[:2]
    grey = np.where(shown_part(crop) > 0, cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), 255)
    fine = cv2.resize(grey.astype(np.uint8), (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.createCLAHE(2.0, (4, 4)).apply(fine).astype(np.float32)
    blurred = cv2.GaussianBlur(fine, (0, 0), draws.uniform(5, 9))
    dodged = np.minimum(fine / np.maximum(blurred, 1), 1.0) ** draws.uniform(1.0, 1.6)
    sigma = draws.uniform(1.0, 1.5)
    narrow, wide = (cv2.GaussianBlur(fine, (0, 0), k * sigma) for k in (1, 1.6))
    lines = 1 + np.tanh(np.minimum((narrow - wide) * draws.uniform(0.04, 0.08) + 0.1, 0))
    tone = 0.72 + 0.28 * np.minimum(blurred / 150, 1)  # faint hatching in the shade
    strokes = 1 + 0.10 * (1 - tone) * cv2.GaussianBlur(
        draws.normal(2 * height, 2 * width), (0, 0), sigmaX=0.6, sigmaY=2.5
    )
    paper = draws.uniform(238, 252) + 1.5 * draws.normal(2 * height, 2 * width)
    drawing = paper * dodged * (0.25 + 0.75 * lines) * tone * strokes
    return _grey(cv2.resize(drawing, (width, height), interpolation=cv2.INTER_AREA))


def low_resolution(crop: Crop, draws: Draws) -> Crop:
    """A face 15 to 40 pixels wide, enlarged to 112 pixels, with sensor noise."""
    return _albumented("low-resolution", crop, draws)


def jpeg(crop: Crop, draws: Draws) -> Crop:
    """Strong JPEG compression, of quality 6 to 30."""
    return _albumented("jpeg", crop, draws)


def webcam(crop: Crop, draws: Draws) -> Crop:
    """The face as a cheap camera shows it.

    The exposure is too high or too low, and the picture has a colour cast, blur, noise and
    compression artefacts.
    """
    return _albumented("webcam", crop, draws)


MASK: Final = OnFaces(_mask)
GLASSES: Final = OnFaces(partial(draw_glasses, dark=False))
SUNGLASSES: Final = OnFaces(partial(draw_glasses, dark=True))
LOW_RESOLUTION: Final = OnCrops(low_resolution)
NIR: Final = OnCrops(near_infrared)
SKETCH: Final = OnCrops(sketch)
JPEG: Final = OnCrops(jpeg)
WEBCAM: Final = OnCrops(webcam)


def _grey(levels: np.ndarray) -> Crop:
    return np.repeat(np.round(levels).clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@lru_cache(maxsize=8)
def _pipeline(condition: str) -> Any:
    import albumentations as A

    steps = {
        "low-resolution": [
            A.Downscale(
                scale_range=(0.13, 0.36),
                interpolation_pair={"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_CUBIC},
                p=1,
            ),
            A.GaussNoise(std_range=(0.004, 0.015), p=0.7),
        ],
        "jpeg": [A.ImageCompression(quality_range=(6, 30), p=1)],
        "webcam": [
            A.OneOf(
                [
                    A.RandomBrightnessContrast((0.12, 0.32), (-0.1, 0.25), p=0.9),  # overexposed
                    A.RandomBrightnessContrast((-0.25, -0.1), (-0.2, 0.1), p=0.6),
                    A.RandomBrightnessContrast((-0.1, 0.1), (-0.3, 0.1), p=0.6),
                ],
                p=1,
            ),
            A.PlanckianJitter(temperature_limit=(4600, 8500), p=0.6),
            A.OneOf([A.GaussianBlur(blur_limit=0, sigma_limit=(0.6, 1.4)), A.MotionBlur((3, 5))]),
            A.ISONoise(color_shift=(0.01, 0.05), intensity=(0.05, 0.18), p=1),
            A.ImageCompression(quality_range=(25, 65), p=1),
        ],
    }[condition]
    return A.Compose(steps)


def _albumented(condition: str, crop: Crop, draws: Draws) -> Crop:
    pipeline = _pipeline(condition)
    pipeline.set_random_seed(int(draws.uniform(0, 2**32)))
    changed = np.ascontiguousarray(pipeline(image=crop)["image"])
    red, green, blue = cv2.split(crop)
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return _grey(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY))  # a grey crop gets no colour noise
    return changed
