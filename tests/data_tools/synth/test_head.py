from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data_tools.synth import head
from data_tools.synth.draws import Draws
from data_tools.synth.identity import draw_identity, head_shape


def test_the_mean_head_has_human_proportions():
    points = head.mean()
    eye, nose = (
        head.position_of(points, *head.grid_coordinates(*at)) for at in (head.EYE, head.NOSE_TIP)
    )
    mouth = head.position_of(points, *head.grid_coordinates(*head.MOUTH_CORNER))
    top, chin = points[..., 1].max(), -11.3
    assert abs((top + chin) / 2 - eye[1]) < 0.5  # the eyes lie halfway up the head
    assert 6.0 < 2 * eye[0] < 6.6  # the pupils are 63 mm apart
    assert eye[1] > nose[1] > mouth[1]
    assert nose[2] > mouth[2] > eye[2]  # the nose stands out, the eyes lie deep
    assert mouth[0] < eye[0]
    skull = points[:40]
    assert 14 < np.ptp(skull[..., 0]) < 16.5 and 17.5 < np.ptp(skull[..., 2]) < 22


def test_the_mean_head_is_its_own_mirror_image():
    points = head.mean()
    assert np.allclose(points[:, ::-1] * [-1, 1, 1], points, atol=1e-4)


def test_the_seam_at_the_back_stays_closed():
    for number in range(5):
        shape = head_shape(draw_identity(0, number), 70)
        assert np.allclose(shape[:, 0], shape[:, -1], atol=1e-3)


@given(st.floats(-3.5, 3.5), st.floats(-10, 4))
@settings(max_examples=40, deadline=None)
def test_canonical_coordinates_lead_to_their_point(x, y):
    point = head.position_of(head.grid().points, *head.grid_coordinates(x, y))
    assert np.allclose(point[:2], (x, y), atol=0.02)


def test_modes_are_linear_and_do_what_they_say():
    modes = head.shape_modes()
    one, two = (np.random.default_rng(k).normal(size=len(modes.names)) for k in (0, 1))
    assert np.allclose(modes(one) + 2 * modes(two), modes(one + 2 * two), atol=1e-4)
    only = np.zeros(len(modes.names), np.float32)
    only[modes.names.index("mouth width")] = 1
    corners = [
        head.position_of(head.mean() + by * modes(only), *head.grid_coordinates(*head.MOUTH_CORNER))
        for by in (-1, 1)
    ]
    assert corners[1][0] > corners[0][0] + 0.3


def test_an_open_jaw_parts_the_lips_and_leaves_the_upper_face():
    names = head.expression_modes().names
    moved = head.expression_modes()(np.array([name == "jaw open" for name in names], np.float32))
    upper = head.position_of(moved, *head.grid_coordinates(0, head.MOUTH_Y + 2 * head.SLIT))
    lower = head.position_of(moved, *head.grid_coordinates(0, head.MOUTH_Y - 2 * head.SLIT))
    assert lower[1] < -1.5 and abs(upper[1]) < 0.1
    assert np.abs(moved[:40]).max() < 1e-3


def test_people_differ_from_each_other_much_more_than_a_person_ages():
    face = slice(22, 60), slice(16, 49)
    heads = np.stack([head_shape(draw_identity(0, n), 30)[face] for n in range(12)])
    between = np.std(heads, axis=0).mean()
    aged = np.abs(head_shape(draw_identity(0, 0), 45)[face] - heads[0]).mean()
    assert between > 0.2 and aged < between / 2


def test_draws_depend_on_every_coordinate_and_nothing_else():
    def first(*name):
        return Draws.of_image(*name).uniform()

    assert first(0, 1, "nir", 2) == first(0, 1, "nir", 2)
    others = {first(0, 1, "nir", 2), first(1, 1, "nir", 2), first(0, 2, "nir", 2)}
    others |= {first(0, 1, "daylight", 2), first(0, 1, "nir", 3), Draws.of_identity(0, 1).uniform()}
    assert len(others) == 6


def test_noise_is_standard_and_white():
    noise = Draws(0).noise(200, 300)
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 0.02
    normals = Draws(1).normals(20000)
    assert abs(normals.mean()) < 0.03 and abs(normals.std() - 1) < 0.05


def test_choices_follow_their_weights():
    draws = Draws(0)
    taken = [draws.choice("abc", [1, 0, 3]) for _ in range(2000)]
    assert "b" not in taken and 0.7 < taken.count("c") / 2000 < 0.8
