"""Location and spread that a few wrong values cannot move."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_NORMAL: Final = 1.4826
"""Median absolute deviation of a normal distribution -> its standard deviation."""


def robust_z(values: NDArray[np.floating], least: float = 0.0) -> NDArray[np.float64]:
    """How many spreads each value lies from the median, below and above measured apart.

    Each side's spread is the median distance of its values from the median, scaled to a standard
    deviation (the 'double MAD'): a skewed measure, as a photo's sharpness is, then has no outliers
    on its long side only because its short side is narrow. A side without spread gives 0 to its
    median and infinity to others.

    Args:
        values: (n,) finite.
        least: the spread is never taken for less, where values crowd at a bound.

    Returns:
        (n,) float64.
    """
    away = np.array(values, np.float64)
    if not len(away):
        return away
    away -= np.median(away)
    z = np.zeros_like(away)
    for side in (away < 0, away > 0):
        spread = _NORMAL * np.median(np.abs(away[side | (away == 0)])) if side.any() else 0.0
        with np.errstate(divide="ignore"):
            z[side] = away[side] / np.float64(max(spread, least))
    return z


def location_and_spread(values: NDArray[np.floating]) -> tuple[float, float]:
    """Median, and median absolute deviation scaled to a standard deviation."""
    middle = float(np.median(values))
    return middle, _NORMAL * float(np.median(np.abs(values - middle)))
