from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_tools.synth import shading
from data_tools.synth.domains import DOMAINS
from data_tools.synth.draws import Draws
from data_tools.synth.photograph import person, photograph
from data_tools.synth.render import render
from data_tools.synth.scene import draw_scene
from data_tools.synth.view import COVER, EYE, GLASSES, HAIR
from mfr.geometry import TEMPLATE, similarity_transform

WHO = person(0, 3)  # short hair, no glasses


def still(**changes):
    """A neutral frontal scene of `WHO`, with ``changes``."""
    scene = draw_scene(DOMAINS["daylight"], WHO.identity, Draws(5))
    plain = {
        "yaw": 0.0,
        "pitch": 0.0,
        "roll": 0.0,
        "distance": 150.0,
        "opening": 1.0,
        "expression": np.zeros_like(scene.expression),
        "light": np.array([0, 0.3, 0.95], np.float32),
        "key": np.full(3, 0.8, np.float32),
        "sky": np.full(3, 0.2, np.float32),
        "ground": np.full(3, 0.1, np.float32),
        "wearing": None,
    }
    return replace(scene, **{**plain, **changes})


def seen(band="visible", **changes):
    backdrop = np.full((8, 8, 3), 0.3, np.float32)
    return render(WHO, still(**changes), band, backdrop, TEMPLATE, 112, Draws(6))


@pytest.mark.parametrize("name", DOMAINS)
def test_every_domain_gives_a_face_where_its_landmarks_say(name):
    taken = photograph(WHO, DOMAINS[name], 0)
    assert taken.image.shape == (112, 112, 3) and taken.image.dtype == np.uint8
    assert taken.image.std() > 10
    assert np.linalg.norm(taken.landmarks - TEMPLATE, axis=1).max() < 16
    matrix = similarity_transform(taken.landmarks, TEMPLATE)  # a crop is already aligned
    assert np.allclose(matrix[:, :2], np.eye(2), atol=0.08)


def test_an_image_is_a_function_of_its_name():
    first = photograph(person(0, 4), DOMAINS["webcam"], 2)
    again = photograph(person(0, 4), DOMAINS["webcam"], 2)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.landmarks, again.landmarks)
    for other in (
        photograph(person(1, 4), DOMAINS["webcam"], 2),
        photograph(person(0, 5), DOMAINS["webcam"], 2),
        photograph(person(0, 4), DOMAINS["webcam"], 3),
        photograph(person(0, 4), DOMAINS["daylight"], 2),
    ):
        assert not np.array_equal(first.image, other.image)


def test_landmarks_lie_on_what_they_name():
    result = seen()
    assert result.visible.all()
    for x, y in result.landmarks[:2]:
        assert result.label[round(y), round(x)] == EYE
    # In an eye that looks into the camera, the pupil is the darkest spot.
    dark = seen(gaze=(0.0, 0.0)).light.sum(axis=-1)
    for x, y in result.landmarks[:2]:
        part = dark[round(y) - 3 : round(y) + 4, round(x) - 5 : round(x) + 6]
        found = np.argwhere(part < np.quantile(part, 0.12)).mean(axis=0) - (3, 5)
        assert np.abs(found).max() < 2.5


def test_closed_eyes_show_no_eyeball():
    assert (seen(opening=0.0).label == EYE).sum() < (seen().label == EYE).sum() / 5


def test_the_nose_turns_and_nods_as_the_signs_say():
    def nose(**pose):
        marks = seen(**pose).landmarks
        return marks[2] - marks[[0, 1]].mean(axis=0)

    assert nose(yaw=0.4)[0] > nose()[0] + 3 > nose(yaw=-0.4)[0] + 6
    assert nose(pitch=0.3)[1] > nose()[1] > nose(pitch=-0.3)[1]


def test_a_turned_head_hides_what_lies_behind_the_nose():
    assert seen(yaw=1.2).visible.tolist()[:2] == [True, False]
    assert seen(yaw=-1.2).visible.tolist()[:2] == [False, True]


def test_light_from_a_side_lights_that_side_and_shadows_the_other():
    left, right = (
        seen(light=np.array([x, 0.1, 0.5], np.float32) / np.hypot(x, 0.51)).light[40:100]
        for x in (-0.9, 0.9)
    )
    assert left[:, 25:50].mean() > 1.5 * left[:, 65:90].mean()
    assert right[:, 65:90].mean() > 1.5 * right[:, 25:50].mean()


def test_the_nose_casts_a_shadow(monkeypatch):
    light = np.array([0.8, 0.35, 0.5], np.float32)
    light /= np.linalg.norm(light)
    cast = seen(light=light).light
    monkeypatch.setattr(
        shading, "_shadow", lambda view, casters: np.ones(view.label.shape, np.float32)
    )
    free = seen(light=light).light
    assert (cast <= free + 1e-3).all()
    beside = np.s_[60:80, 40:54]  # the cheek beyond the nose
    assert cast[beside].mean() < 0.93 * free[beside].mean()


def test_warmth_needs_no_light_and_infrared_has_no_colour():
    dark, lit = np.zeros(3, np.float32), np.ones(3, np.float32)
    assert np.array_equal(seen("thermal", key=dark).light, seen("thermal", key=lit).light)
    assert not np.array_equal(seen(key=dark).light, seen(key=lit).light)
    for name in ("nir", "thermal"):
        image = photograph(WHO, replace(DOMAINS[name], jpeg=None), 1).image
        assert (image == image[..., :1]).all()


def test_dark_skin_is_lighter_in_the_near_infrared():
    dark = person(0, 0)
    assert dark.identity.melanin > 0.8
    cheek = np.s_[110:130, 100:155]
    assert dark.skin("nir")[cheek].mean() > 2 * dark.skin("visible")[cheek].mean()


@pytest.mark.parametrize("wearing", ["mask surgical", "mask kn95", "mask cloth", "mask patterned"])
def test_a_mask_hides_nose_and_mouth_and_nothing_of_the_eyes(wearing):
    for yaw in (-0.4, 0.0, 0.4):
        result = seen(wearing=wearing, yaw=yaw)
        assert not result.visible[2:].any() and result.visible[:2].all()
        marks = result.landmarks[2:].round().astype(int)
        assert (result.label[marks[:, 1], marks[:, 0]] == COVER).all()


def test_a_scarf_hides_the_mouth_and_sunglasses_the_eyes():
    assert not seen(wearing="scarf").visible[3:].any()
    result = seen(wearing="sunglasses")
    assert not result.visible[:2].any() and result.visible[2:].all()
    assert (result.label == GLASSES).sum() > 500


def test_ageing_greys_hair_and_folds_skin():
    young, old = (seen(age=age) for age in (22.0, 75.0))
    hair = (young.label == HAIR) & (old.label == HAIR)
    assert old.light[hair].mean() > 1.5 * young.light[hair].mean()


def test_photos_show_the_same_landmarks_elsewhere():
    taken = photograph(WHO, DOMAINS["daylight"], 0, photo_size=200)
    assert taken.image.shape == (200, 200, 3)
    assert (taken.landmarks > 0).all() and (taken.landmarks < 200).all()
    eyes = np.linalg.norm(taken.landmarks[1] - taken.landmarks[0])
    assert 20 < eyes < 60
