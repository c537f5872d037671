"""The interval of a mean over cross-validation folds, or over any few equal shares of the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t


def fold_interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of `values` and the ends of its interval.

    Student's t, not the normal distribution: ten folds have nine degrees of freedom, for which the
    quantile is 2.26, and 1.96 would make the interval 13% too narrow.

    Args:
        values: (n,), n at least 2, of the folds.
        level: The share of such intervals that hold the mean they estimate, if folds are drawn
            independently from a normal distribution.
    """
    mean = float(values.mean())
    error = float(values.std(ddof=1) / len(values) ** 0.5)
    half = float(t.ppf((1 + level) / 2, len(values) - 1)) * error
    return mean, mean - half, mean + half
