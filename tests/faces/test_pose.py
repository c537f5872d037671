from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfr.errors import FaceError
from mfr.faces.pose import _projected, fit_pose
from mfr.geometry import TEMPLATE
from tests.simulation.made_up_faces import landmarks, posed


def test_the_template_is_a_frontal_face():
    pose = fit_pose(TEMPLATE)
    assert abs(pose.yaw) < 2 and abs(pose.roll) < 1 and pose.residual < 1
    assert 35.2 / pose.scale == pytest.approx(64, abs=5)  # the pupils of a head are 64 mm apart


@given(
    yaw=st.floats(-45, 45), pitch=st.floats(-12, 12), roll=st.floats(-30, 30)
)  # fmt: skip
def test_a_known_view_is_found_again(yaw, pitch, roll):
    pose = fit_pose(landmarks(posed(yaw, pitch, roll)))
    # The priors pull pitch and the length of the nose towards their usual values.
    assert pose.yaw == pytest.approx(yaw, abs=5)
    assert pose.pitch == pytest.approx(pitch, abs=8)
    assert pose.roll == pytest.approx(roll, abs=4)
    assert pose.residual < 1


@given(yaw=st.floats(-45, 45), pitch=st.floats(-15, 15), roll=st.floats(-20, 20))
def test_a_mirrored_face_is_turned_the_other_way(yaw, pitch, roll):
    places = landmarks(posed(yaw, pitch, roll))
    mirrored = ((111, 0) + places * (-1, 1))[[1, 0, 2, 4, 3]]
    pose, other = fit_pose(places), fit_pose(mirrored)
    assert other.yaw == pytest.approx(-pose.yaw, abs=1e-3)
    assert other.roll == pytest.approx(-pose.roll, abs=1e-3)
    assert other.pitch == pytest.approx(pose.pitch, abs=1e-3)


def test_yaw_is_positive_where_the_nose_points_to_the_viewers_right():
    assert landmarks(posed(yaw=30))[2, 0] > landmarks(posed())[2, 0] + 5
    assert fit_pose(TEMPLATE + np.array([[0, 0], [0, 0], [8, 0], [0, 0], [0, 0]])).yaw > 10


def test_landmarks_that_are_not_finite_or_coincide():
    for places in (np.full((5, 2), np.nan), np.full((5, 2), 7.0)):
        with pytest.raises(FaceError):
            fit_pose(places)


def test_landmarks_of_no_face_are_far_from_the_head():
    assert fit_pose(TEMPLATE[[3, 4, 2, 0, 1]]).residual > 4  # upside down, but left stays left


@given(
    st.tuples(
        *(st.floats(-60, 60) for _ in range(3)),
        st.floats(-1, 1),
        *(st.floats(-50, 150) for _ in range(2)),
        st.floats(-0.2, 0.2),
        st.floats(-10, 10),
    )
)
def test_the_slopes_are_those_of_finite_differences(parameters):
    at = np.array(parameters)
    _, slopes = _projected(at)
    apart = [_projected(at + step)[0] - _projected(at - step)[0] for step in 1e-5 * np.eye(8)]
    np.testing.assert_allclose(slopes, np.stack(apart) / 2e-5, atol=1e-5)
