from __future__ import annotations

import numpy as np
import pytest

from scripts.lib.grouping_scores import score_grouping


def test_by_hand():
    # Person 0 has faces a b c, person 1 has d e; the groups are {a b d}, {c}, {e}.
    scores = score_grouping(np.array([0, 0, 0, 1, 1]), np.array([5, 5, 7, 5, 8]))
    assert scores.pair_precision == pytest.approx(1 / 3)  # of ab, ad and bd, ab
    assert scores.pair_recall == pytest.approx(1 / 4)  # of ab, ac, bc and de, ab
    precision = (2 / 3 + 2 / 3 + 1 + 1 / 3 + 1) / 5
    recall = (2 / 3 + 2 / 3 + 1 / 3 + 1 / 2 + 1 / 2) / 5
    assert (scores.precision, scores.recall) == pytest.approx((precision, recall))
    assert scores.f == pytest.approx(2 * precision * recall / (precision + recall))


def test_perfect_groups_whatever_their_numbers():
    scores = score_grouping(np.array([0, 0, 1, 2]), np.array([9, 9, 3, 4]))
    assert scores == score_grouping(np.array([4, 4, 5, 6]), np.array([0, 0, 1, 2]))
    assert (scores.pair_precision, scores.pair_recall, scores.f) == (1, 1, 1)
