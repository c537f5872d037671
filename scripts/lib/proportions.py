"""The interval of a share that was counted."""

from __future__ import annotations

from scipy.stats import beta


def clopper_pearson(count: int, number: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share of ``count`` in ``number`` (Biometrika 26, 1934)."""
    outside = (1 - level) / 2
    low = 0.0 if count == 0 else float(beta.ppf(outside, count, number - count + 1))
    high = 1.0 if count == number else float(beta.ppf(1 - outside, count + 1, number - count))
    return low, high
