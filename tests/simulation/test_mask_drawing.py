from __future__ import annotations

import numpy as np
import pytest

from mfr.faces.pose import Pose, fit_pose
from mfr.geometry import TEMPLATE
from mfr.simulation import head, mask_drawing
from mfr.simulation.draws import Draws
from mfr.simulation.mask_drawing import KINDS, MaskedFace, draw_mask
from tests.simulation.made_up_faces import FRONTAL, landmarks, posed, skin

EYES, NOSE, MOUTH = TEMPLATE[:2], TEMPLATE[2:3], TEMPLATE[3:]


def at(face: MaskedFace, places: np.ndarray) -> np.ndarray:
    column, row = places.round().astype(int).T
    return face.mask[row, column]


def chin(pose: Pose, millimetres: float) -> np.ndarray:
    """The middle of the face this far below the pupils; a frontal crop ends at about 105 mm."""
    middle, height = np.zeros(1), np.full(1, float(millimetres))
    point = head.points_at(middle, height, head.face_radius(middle, height))
    return pose.to_camera(point)[:, :2]


@pytest.fixture
def only(monkeypatch):
    def choose(kind: str | None = None, placement: str | None = None) -> None:
        if kind:
            monkeypatch.setattr(mask_drawing, "KINDS", {kind: 1.0})
        if placement:
            monkeypatch.setattr(mask_drawing, "PLACEMENTS", {placement: 1.0})

    return choose


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_covers_nose_mouth_and_chin_and_no_eye(kind, only):
    only(kind, "proper")
    for name in "abcd":
        face = draw_mask(skin(), FRONTAL, Draws(0, name))
        assert face.record.kind == kind
        assert at(face, MOUTH).min() > 0.98 and at(face, NOSE) > 0.98
        assert at(face, chin(FRONTAL, 92)) > 0.9
        assert at(face, EYES).max() == 0
        assert not face.touched[:40].any()  # forehead and brows


def test_masks_slip_as_the_record_says(only):
    only("surgical", "nose out")
    face = draw_mask(skin(), FRONTAL, Draws(0, "a"))
    assert at(face, NOSE) == 0 and at(face, MOUTH).min() > 0.9
    only("surgical", "chin out")
    face = draw_mask(skin(), posed(pitch=-10), Draws(0, "a"))
    assert at(face, landmarks(posed(pitch=-10))[3:]).min() > 0.9
    assert at(face, chin(posed(pitch=-10), 106)) < 0.1


@pytest.mark.parametrize("yaw", [-40, -20, 20, 40])
def test_a_turned_face_shows_the_near_side_of_the_mask(yaw, only):
    only("surgical", "proper")
    pose = posed(yaw=yaw)
    face = draw_mask(skin(), pose, Draws(0, "a"))
    nose = round(landmarks(pose)[2, 0])
    left, right = face.mask[:, :nose].sum(), face.mask[:, nose + 1 :].sum()
    assert left > 2 * right if yaw > 0 else right > 2 * left
    assert at(face, landmarks(pose)[3:]).min() > 0.95
    assert at(face, landmarks(pose)[:2]).max() == 0
    # The straps change pixels far from the mask on the near side only.
    beyond = face.touched & (face.mask < 0.01)
    near = beyond[:, :nose] if yaw > 0 else beyond[:, nose:]
    assert near.sum() > 0.7 * beyond.sum()


@pytest.mark.parametrize("yaw", [-35, 0, 25])
def test_a_mirrored_face_wears_the_mirrored_mask(yaw, only):
    only("cloth", "proper")
    places = landmarks(posed(yaw=yaw))
    mirrored = ((111, 0) + places * (-1, 1))[[1, 0, 2, 4, 3]]
    crop = skin()
    here = draw_mask(crop, fit_pose(places), Draws(0, "a")).mask
    there = draw_mask(crop[:, ::-1].copy(), fit_pose(mirrored), Draws(0, "a")).mask[:, ::-1]
    # The mask sits a little askew, in the same way in both.
    assert np.minimum(here, there).sum() > 0.88 * np.maximum(here, there).sum()
    if yaw:
        unturned = draw_mask(crop, fit_pose(mirrored), Draws(0, "a")).mask
        assert np.minimum(here, unturned).sum() < 0.8 * np.maximum(here, unturned).sum()


@pytest.mark.parametrize("name", "abcdef")
def test_the_region_of_the_mask_changes_and_nothing_else(name):
    crop = skin()
    face = draw_mask(crop, posed(yaw=15, roll=8), Draws(3, name))
    changed = (face.crop != crop).any(axis=2)
    assert not (changed & ~face.touched).any()
    assert changed[face.mask > 0.5].mean() > 0.95
    # The recorded coverage matches the pixels, except for straps, shadow and edges.
    shown = (face.mask > 0.5) & (face.face > 0)
    assert face.record.coverage == pytest.approx(shown.sum() / face.face.sum(), abs=0.02)
    assert 0.2 < face.record.coverage < 0.75


@pytest.mark.parametrize("kind", KINDS)
def test_grey_stays_grey(kind, only):
    only(kind)
    crop = draw_mask(skin(grey=True, left=220, right=80), FRONTAL, Draws(0, kind)).crop
    assert (crop == crop[:, :, :1]).all()


def test_what_is_drawn_depends_on_the_seed_and_the_name_alone():
    crop = skin()
    first = draw_mask(crop, FRONTAL, Draws(0, "a"))
    draw_mask(skin(seed=5), posed(yaw=20), Draws(0, "b"))
    again = draw_mask(crop, FRONTAL, Draws(0, "a"))
    np.testing.assert_array_equal(first.crop, again.crop)
    assert first.record == again.record
    assert (draw_mask(crop, FRONTAL, Draws(1, "a")).crop != first.crop).any()
    np.testing.assert_array_equal(crop, skin())  # the input is left alone


def test_the_light_on_the_face_is_the_light_on_the_mask(only):
    only("surgical", "proper")
    dim, bright = (
        draw_mask(skin(left=level, right=level), FRONTAL, Draws(0, "a")) for level in (60, 170)
    )
    inside = dim.mask > 0.99
    assert bright.crop[inside].mean() > 1.2 * dim.crop[inside].mean()
    from_left = draw_mask(skin(left=220, right=70), FRONTAL, Draws(0, "a")).crop
    assert from_left[75:100, 30:50].mean() > 1.15 * from_left[75:100, 64:84].mean()


def test_a_smooth_photo_gets_a_smooth_mask_and_a_noisy_one_a_noisy_mask(only):
    only("black", "proper")
    noisy = skin(grey=True).astype(float) + np.random.default_rng(1).normal(0, 8, (112, 112, 1))
    rough = []
    for crop in (skin(grey=True), noisy.round().clip(1, 255).astype(np.uint8)):
        drawn = draw_mask(crop, FRONTAL, Draws(0, "a")).crop[75:100, 40:72, 0].astype(float)
        rough.append(np.diff(drawn, axis=1).std())
    assert rough[1] > 2 * rough[0]


def test_nothing_is_drawn_beyond_the_photo():
    crop = skin()
    crop[90:] = 0
    face = draw_mask(crop, FRONTAL, Draws(0, "a"))
    assert not face.crop[90:].any() and not face.mask[90:].any()


def test_a_face_far_outside_its_crop_changes_nothing():
    pose = fit_pose(TEMPLATE + 500)
    crop = skin()
    np.testing.assert_array_equal(draw_mask(crop, pose, Draws(0, "a")).crop, crop)
