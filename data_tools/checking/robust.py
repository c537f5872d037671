"""Robust measures of location and spread, which a few wrong values do not affect."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_NORMAL: Final = 1.4826
"""The ratio of a normal distribution's standard deviation to its median absolute deviation."""


def robust_z(values: NDArray[np.floating], least: float = 0.0) -> NDArray[np.float64]:
    """The number of spreads between each value and the median, with a spread for each side.

    The spread of each side is the median distance of its values from the median, scaled to a
    standard deviation (the 'double MAD'). A skewed measure, such as the sharpness of photos, thus
    does not get outliers on its long side merely because its short side is narrow. On a side
    without spread, the median itself gets 0 and all other values get infinity.

    Args:
        values: finite values, (n,).
        least: the least spread to use, for values that crowd at a bound.

    Returns:
        The signed numbers of spreads, (n,) float64.
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
    """The median, and the median absolute deviation scaled to a standard deviation."""
    middle = float(np.median(values))
    return middle, _NORMAL * float(np.median(np.abs(values - middle)))
