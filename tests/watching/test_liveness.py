"""A head that turns is told from a picture that is moved, and from neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mfr.geometry import TEMPLATE
from mfr.recogniser import EmbeddedFace
from mfr.simulation import head
from mfr.watching.kept_crops import MOST, KeptCrops
from mfr.watching.liveness import LEAST_FRAMES, LIVE, STILL, check
from mfr.watching.watcher import Watcher
from scripts.lib.head_videos import motion, of_drawn_head, of_picture, of_wrapped_photo
from tests.watching.fakes import ColourGallery, SquareFinder, frame


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A drawn face, which fills its picture as an aligned crop does."""
    rng = np.random.default_rng(5)
    return next(iter(of_drawn_head(3, np.zeros((1, 3)), rng)))


@pytest.fixture(scope="module")
def landmarks() -> np.ndarray:
    return TEMPLATE.astype(np.float64)


def angles(degrees: float) -> np.ndarray:
    return motion(12, degrees, np.random.default_rng(2))


@pytest.mark.parametrize("seed", range(4))
def test_a_head_that_turns_is_alive(photo, landmarks, seed):
    rng = np.random.default_rng(seed)
    found = check(list(of_wrapped_photo(photo, landmarks, angles(15), rng)))
    assert found.answer == "live" and found.score >= LIVE and found.frames == 12


def test_the_score_grows_with_the_angle_and_is_about_its_spread(photo, landmarks):
    scores = []
    for degrees in (0, 5, 10, 15):
        turns = angles(degrees)
        rng = np.random.default_rng(1)
        scores.append(check(list(of_wrapped_photo(photo, landmarks, turns, rng))).score)
    assert scores == sorted(scores)
    spread = np.sqrt(np.sin(np.radians(angles(15)[:, :2])).var(axis=0).sum())
    assert scores[-1] == pytest.approx(spread, rel=0.6)


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_that_is_turned_is_still_and_one_that_is_bent_not_alive(photo, landmarks, seed):
    rng = np.random.default_rng(seed)
    found = check(list(of_picture(photo, landmarks, angles(35), 0, rng)))
    assert found.answer == "still" and found.score < STILL
    found = check(list(of_picture(photo, landmarks, angles(35), 60, rng)))
    assert found.answer != "live"


def test_a_face_that_does_not_move_is_unknown(photo, landmarks):
    rng = np.random.default_rng(0)
    assert check(list(of_picture(photo, landmarks, angles(0), 0, rng))).answer == "unknown"
    assert check([photo] * 12).score == pytest.approx(0, abs=1e-6)


def test_a_head_without_relief_is_a_picture(photo, landmarks, monkeypatch):
    """What is noticed is the relief: the same motion of a smooth cylinder is that of a sheet."""

    def cylinder(azimuth, y):
        return np.full(np.broadcast(azimuth, y).shape, 75.0)

    monkeypatch.setattr(head, "face_radius", cylinder)
    rng = np.random.default_rng(0)
    assert check(list(of_wrapped_photo(photo, landmarks, angles(15), rng))).answer != "live"


def test_too_few_frames_or_nothing_to_follow_are_unknown(photo):
    assert check([]).answer == "unknown"
    assert check([photo] * (LEAST_FRAMES - 1)).answer == "unknown"
    grey = np.full((112, 112, 3), 128, np.uint8)
    assert check([grey] * 12).answer == "unknown"
    noise = np.random.default_rng(0).integers(0, 256, (12, 112, 112, 3), dtype=np.uint8)
    assert check(list(noise)).answer == "unknown"


@pytest.mark.parametrize("count", [0, 1, MOST, MOST + 1, 100, 1000])
def test_crops_are_kept_at_equal_steps_over_the_whole_track(count):
    kept = KeptCrops()
    for k in range(count):
        kept.add(np.full(1, k))
    places = [int(crop[0]) for crop in kept.all()]
    assert places[:1] == [0][:count] and len(places) <= min(count, MOST)
    assert len(set(np.diff(places))) <= 1
    if count > MOST:
        assert len(places) >= MOST // 2 and count - places[-1] <= places[1] - places[0]


class HeadFinder(SquareFinder):
    """Finds the squares, as the faces of a head that turns."""

    def __init__(self, crops: Sequence[np.ndarray]) -> None:
        super().__init__()
        self._crops = iter(crops)

    def embed_image_faces(self, image: np.ndarray, name: str) -> list[EmbeddedFace]:
        crop = next(self._crops)
        return [replace(face, crop=crop) for face in super().embed_image_faces(image, name)]


@pytest.mark.parametrize(("asked", "answer"), [(True, "live"), (False, None)])
def test_an_event_says_whether_the_face_is_alive_if_that_was_asked(photo, landmarks, asked, answer):
    crops = of_wrapped_photo(photo, landmarks, angles(15), np.random.default_rng(0))
    watcher = Watcher(HeadFinder(list(crops)), ColourGallery("ada"), live_check=asked)
    for k in range(12):
        assert not watcher.look(frame(k, {"ada": 10}))
    ((event, _),) = watcher.finish()
    assert (event.identity, event.live) == ("ada", answer)
