"""Faults of a photograph in rising strength, each drawn on a crop by itself.

Every ladder begins with the crop as it is. What is random about a fault, such as where an occlusion
lies, is drawn once for an image and stays the same on all rungs, so that a rung differs from the
one before by its strength alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mfr.errors import FaceError
from mfr.faces.pose import fit_pose
from mfr.geometry import CROP_SIZE, TEMPLATE
from mfr.simulation.draws import Draws
from mfr.simulation.mask_drawing import draw_mask
from mfr.simulation.photograph import to_levels, to_linear

Crop = NDArray[np.uint8]


@dataclass(frozen=True)
class Ladder:
    """A fault and the strengths it is tried at.

    Attributes:
        fault: what it is, in a few words.
        unit: what the strengths are, for the axis.
        strengths: from that of the crop as it is to the strongest.
        apply: (crop, strength, draws) -> the crop with the fault.
    """

    fault: str
    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[Crop, float, Draws], Crop]


def blurred(crop: Crop, sigma: float, draws: Draws) -> Crop:
    """Out of focus: a Gaussian of ``sigma`` pixels of the crop."""
    return crop if not sigma else cv2.GaussianBlur(crop, (0, 0), sigma).astype(np.uint8)


def compressed(crop: Crop, quality: float, draws: Draws) -> Crop:
    """A JPEG of this quality, 1-100; the crop itself at 100."""
    if quality == 100:
        return crop
    file = np.asarray(
        cv2.imencode(".jpg", crop[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(quality)])[1]
    )
    decoded = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[:, :, ::-1])


def occluded(crop: Crop, share: float, draws: Draws) -> Crop:
    """A grey square that covers this share of the crop, about a random point of its middle."""
    side = round(CROP_SIZE * share**0.5)
    centre = np.array([draws.uniform(0.25, 0.75), draws.uniform(0.25, 0.75)]) * CROP_SIZE
    y, x = np.clip(np.round(centre - side / 2), 0, CROP_SIZE - side).astype(int)
    changed = crop.copy()
    changed[y : y + side, x : x + side] = 128
    return changed


def darkened(crop: Crop, stops: float, draws: Draws) -> Crop:
    """Less light by this many halvings, and the steps of 8 bits that are left of it."""
    if not stops:
        return crop
    return np.asarray(to_levels(to_linear(crop) * np.float32(0.5**stops)), np.uint8)


def coarse(crop: Crop, size: float, draws: Draws) -> Crop:
    """The crop made ``size`` pixels wide and enlarged again; itself at its own size."""
    if size == CROP_SIZE:
        return crop
    side = round(size)
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    whole = cv2.resize(small, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(whole, np.uint8)


def masked(crop: Crop, height: float, draws: Draws) -> Crop:
    """The lower ``height`` (0-1) of a drawn mask, from the chin up; 1 is all of it.

    The head is taken to be where the alignment puts a frontal one.
    """
    try:
        drawn = draw_mask(crop, fit_pose(TEMPLATE), draws)
    except FaceError:  # the template is a face, whatever the crop shows
        return crop
    rows = np.flatnonzero(drawn.mask.max(axis=1) > 0)
    if not height or not len(rows):
        return crop
    cut = round(rows[-1] + 1 - height * (rows[-1] + 1 - rows[0]))
    changed = drawn.crop.copy()
    if height < 1:
        changed[:cut] = crop[:cut]
    return changed


LADDERS: Final[dict[str, Ladder]] = {
    "mask": Ladder("mask", "share of a mask's height", (0, 0.25, 0.5, 0.75, 1), masked),
    "blur": Ladder("blur", "sigma, in pixels of a crop of 112", (0, 1, 2, 3, 4, 6), blurred),
    "jpeg": Ladder("JPEG", "quality", (100, 50, 30, 20, 10, 5), compressed),
    "occlusion": Ladder("occlusion", "covered share", (0, 0.1, 0.2, 0.3, 0.4), occluded),
    "darkness": Ladder("darkness", "halvings of the light", (0, 1, 2, 3, 4, 5), darkened),
    "resolution": Ladder("resolution", "pixels across", (112, 56, 40, 28, 20, 14, 10), coarse),
}
"""The faults by the names that the command line takes."""


def apply_fault(name: str, strength: float, crop: Crop, *, seed: int, path: str) -> Crop:
    """A crop with a fault of `LADDERS`; what is random follows from seed, fault and image."""
    return LADDERS[name].apply(crop, strength, Draws(seed, f"ladder {name} {path}"))
