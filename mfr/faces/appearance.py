"""What a crop looks like apart from whom it shows: its frequencies, its colours, its light.

Drawings, photographs, near-infrared and faces lit from one side differ in these at a glance. A face
whose appearance is like nothing that a model was measured on is better told than judged: embeddings
do not show it, as a network that knows drawn people only gives photographs embeddings like theirs.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mfr.geometry import CROP_SIZE

BANDS: Final = 8
"""Bands of spatial frequency, evenly spaced on a log scale from 0.02 to 0.5 periods a pixel."""

SIZE: Final = BANDS + 7
"""The length of a description."""

_INNER: Final = (slice(20, 100), slice(20, 92))
_LEFT: Final = (slice(20, 100), slice(20, 56))
_RIGHT: Final = (slice(20, 100), slice(56, 92))


def describe_appearance(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Describe crops (n, 112, 112, 3) uint8 RGB by numbers, (n, `SIZE`).

    They are log powers of the frequency bands of the grey crop under a Hann window; mean and spread
    of CIELAB's lightness, means and log spreads of its two colours within the face; and how much
    lighter the left half of the face is than the right. Their units make 1 a moderate difference.
    """
    return np.stack([_described(crop) for crop in crops]) if len(crops) else np.zeros((0, SIZE))


def _described(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float64)
    window, bands = _window_and_bands()
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    lightness, *colours = cv2.split(
        cv2.cvtColor(crop, cv2.COLOR_RGB2LAB)[_INNER].astype(np.float64)
    )
    numbers = [np.log(power[band].mean() + 1) for band in bands]
    numbers += [lightness.mean() / 20, lightness.std() / 10]
    for colour in colours:
        numbers += [colour.mean() / 5, np.log(colour.std() + 0.5)]
    numbers.append((grey[_LEFT].mean() - grey[_RIGHT].mean()) / 20)
    return np.array(numbers)


@lru_cache(maxsize=1)
def _window_and_bands() -> tuple[NDArray[np.float64], list[NDArray[np.bool_]]]:
    window = np.outer(np.hanning(CROP_SIZE), np.hanning(CROP_SIZE))
    rows, columns = np.meshgrid(
        np.fft.fftfreq(CROP_SIZE), np.fft.rfftfreq(CROP_SIZE), indexing="ij"
    )
    frequency = np.hypot(rows, columns)
    edges = np.geomspace(0.02, 0.5, BANDS + 1)
    return window, [
        (frequency >= low) & (frequency < high) for low, high in itertools.pairwise(edges)
    ]
