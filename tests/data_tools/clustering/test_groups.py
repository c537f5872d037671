from __future__ import annotations

import numpy as np
import pytest

from data_tools.clustering.groups import form_groups
from tests.data_tools.clustering.test_linkage import unit

COS = {angle: float(np.cos(np.deg2rad(angle))) for angle in (10, 20, 30, 60, 90)}


def test_fits_nearest_and_margin_by_hand():
    vectors = unit(0, 10, 30, 90, 90)
    groups, singles = form_groups(vectors, np.array([0, 0, 0, 1, 1]), 0.9, 2)
    first, second = groups
    assert (first.name, second.name) == ("group-0001", "group-0002")
    # 10 degrees is in the middle and fits best; 30 is 30 and 20 degrees away.
    assert first.members.tolist() == [1, 0, 2]
    expected = [(COS[10] + COS[20]) / 2, (COS[10] + COS[30]) / 2, (COS[20] + COS[30]) / 2]
    assert first.fits == pytest.approx(expected, abs=1e-6)
    likeness = (COS[90] + np.cos(np.deg2rad(80)) + COS[60]) / 3
    assert first.nearest == "group-0002" and first.likeness == pytest.approx(likeness, abs=1e-6)
    assert first.margin == pytest.approx(expected[2] - 0.9, abs=1e-6)
    assert second.margin == pytest.approx(min(1 - 0.9, 0.9 - likeness), abs=1e-6)
    assert singles == []


def test_small_groups_are_faces_of_no_group_with_their_nearest():
    vectors = unit(0, 10, 90, 91, 60)
    groups, singles = form_groups(vectors, np.array([0, 0, 1, 1, 2]), 0.9, 2)
    assert [group.members.tolist() for group in groups] == [[0, 1], [2, 3]]
    (single,) = singles
    assert (single.member, single.nearest) == (4, "group-0002")
    assert single.likeness == pytest.approx((COS[30] + np.cos(np.deg2rad(31))) / 2, abs=1e-6)
    groups, singles = form_groups(vectors, np.array([0, 0, 1, 1, 2]), 0.9, 3)
    assert groups == [] and [single.nearest for single in singles] == [None] * 5


def test_the_largest_group_is_the_first_and_a_single_group_has_no_other():
    groups, _ = form_groups(unit(0, 90, 90, 90, 0), np.array([0, 1, 1, 1, 0]), 0.9, 2)
    assert [group.members.tolist() for group in groups] == [[1, 2, 3], [0, 4]]
    (only,), _ = form_groups(unit(0, 0), np.array([0, 0]), 0.9, 2)
    assert only.nearest is None and only.likeness is None
    assert only.margin == pytest.approx(0.1, abs=1e-6)
