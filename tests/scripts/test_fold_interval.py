"""The interval of a mean over folds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from scripts.lib.fold_interval import fold_interval


@pytest.mark.parametrize("folds", [2, 10])
def test_it_is_that_of_a_t_test(folds: int) -> None:
    values = np.random.default_rng(folds).normal(0.3, 0.1, folds)
    expected = ttest_1samp(values, 0).confidence_interval(0.9)
    mean, low, high = fold_interval(values, 0.9)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_folds_that_agree_leave_no_room() -> None:
    assert fold_interval(np.full(10, 0.25)) == (0.25, 0.25, 0.25)
