"""When a face is too poor to be relied on."""

import cv2
import numpy as np
import pytest

from mfr.faces import Face, Quality
from mfr.faces.quality import flaws, measure_crop, measure_quality
from tests.simulation.made_up_faces import landmarks, posed

GOOD = Quality(probability=0.99, inter_ocular=40, blur=200, brightness=120)


def changed(**values):
    return Quality(**{**vars(GOOD), **values})


@pytest.mark.parametrize(
    ("values", "clause"),
    [
        ({"inter_ocular": 13.9}, "too small"),
        ({"blur": 19.9}, "blurred"),
        ({"brightness": 14.9, "blur": 1}, "too dark"),
        ({"brightness": 233.1, "blur": 1}, "too bright"),
        ({"probability": 0.89}, "may not be a face"),
        ({"yaw": -35.1}, "turned to the side"),
        ({"pitch": -20.1}, "looks up"),
        ({"roll": 45.1}, "leans to the side"),
    ],
)
def test_each_flaw_is_named_once(values, clause):
    (flaw,) = flaws(changed(**values))
    assert clause in flaw


def test_good_faces_and_faces_at_the_limits_have_none():
    assert flaws(GOOD) == []
    limits = Quality(0.9, 14, 20, 15, yaw=35, pitch=-20, roll=-45)
    assert flaws(limits) == []
    assert flaws(changed(pitch=60)) == []  # looking down costs nothing
    assert len(flaws(Quality(probability=0.5, inter_ocular=5, blur=1, brightness=100))) == 3


def posed_face(yaw=0.0, pitch=0.0, lean=0.0, turn=0):
    """A face in a photo: the landmarks of a head, three times as large and leaning."""
    places = 3 * landmarks(posed(yaw, pitch))
    angle = np.radians(lean)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    places = (places - 150) @ rotation.T + 200
    return Face(np.array([0, 0, 400, 400], np.float32), 0.99, places.astype(np.float32), turn)


@pytest.mark.parametrize(
    ("yaw", "pitch", "lean", "turn", "roll"),
    [(0, 0, 0, 0, 0), (30, 0, 10, 0, 10), (-40, 5, -30, 0, -30), (0, -15, -80, 90, 10)],
)
def test_the_pose_is_measured_from_the_landmarks(yaw, pitch, lean, turn, roll):
    measured = measure_quality(
        posed_face(yaw, pitch, lean, turn), np.zeros((112, 112, 3), np.uint8)
    )
    assert measured.yaw == pytest.approx(yaw, abs=5)
    assert measured.pitch == pytest.approx(pitch, abs=9)
    assert measured.roll == pytest.approx(roll, abs=6)  # a turned head's eyes are not level


def test_neither_rim_nor_jpeg_nor_light_hides_blur():
    rng = np.random.default_rng(0)
    sharp = cv2.GaussianBlur(rng.normal(120, 200, size=(112, 112, 3)), (0, 0), 1.2)
    sharp = sharp.clip(0, 255).astype(np.uint8)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 4)
    beyond = blurred.copy()
    beyond[:16] = 0  # where a crop reaches beyond its photo
    jpeg = cv2.imdecode(cv2.imencode(".jpg", blurred, [cv2.IMWRITE_JPEG_QUALITY, 75])[1], 1)
    plain, rim, blocks, whole = (measure_crop(crop)[0] for crop in (blurred, beyond, jpeg, sharp))
    assert rim == plain and max(plain, blocks) < whole / 5
    darker = (sharp * 0.4).astype(np.uint8)
    assert measure_crop(darker)[0] == pytest.approx(whole, rel=0.05)
    assert measure_crop(np.full((112, 112, 3), 90, np.uint8)) == (0.0, 90.0)
