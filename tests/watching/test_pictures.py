from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mfr.errors import ConfigError, WriteError
from mfr.images import read_image
from mfr.watching.pictures import NoAlbum, open_album
from mfr.watching.source import open_frames
from mfr.watching.watcher import Watcher
from tests.watching.fakes import ColourGallery, SquareFinder, frame

GREEN, AMBER, GREY = (24, 132, 62), (186, 104, 0), (92, 99, 110)


def near(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    """How many pixels are of about this colour."""
    return int((np.abs(pixels.astype(int) - colour).max(axis=2) < 30).sum())


def watch(album, squares: list[dict[str, int]]) -> list:
    watcher = Watcher(SquareFinder(), ColourGallery("ada"), keep_frames=True)
    for k, each in enumerate(squares):
        watcher.look(frame(k, each))
        album.show(frame(k, each), watcher)
    return [album.keep(event, best) for event, best in watcher.finish()]


def test_a_folder_has_the_best_frame_of_every_track(tmp_path):
    with open_album(tmp_path / "seen", live=True, rate=None, every=1) as album:
        events = watch(album, [{"ada": 10, "eve": 200}] * 3)
    assert [event.picture for event in events] == [
        str(tmp_path / "seen" / f"track-000{k}.jpg") for k in (1, 2)
    ]
    ada, eve = (read_image(event.picture) for event in events)
    # Where letters are smoothed, there is a little of any grey.
    assert near(ada, GREEN) > 4 * near(ada, GREY) and near(ada, GREEN) > 600
    assert near(eve, GREY) > 600 and near(eve, GREEN) == 0


def test_a_video_shows_who_is_known_by_then(tmp_path):
    path = tmp_path / "seen.avi"
    with open_album(path, live=False, rate=30, every=3) as album:
        events = watch(album, [{"ada": 10}] * 4 + [{"eve": 200}] * 4)
    assert [event.picture for event in events] == [None, None]
    with open_frames(str(path)) as frames:
        assert frames.rate == pytest.approx(10)
        found = [each.pixels for each in frames]
    assert len(found) == 8 and found[0].shape == (480, 640, 3)  # enlarged, to be legible
    assert all(near(pixels, GREEN) > 100 for pixels in found[:4])
    assert all(near(pixels, GREY) > 100 for pixels in found[4:])
    assert [each.name for each in tmp_path.iterdir()] == ["seen.avi"]


def test_a_video_that_was_interrupted_is_whole(tmp_path):
    path = tmp_path / "seen.mp4"
    with (
        pytest.raises(KeyboardInterrupt),
        open_album(path, live=False, rate=10, every=1) as album,
    ):
        watch(album, [{"ada": 10}] * 5)
        raise KeyboardInterrupt
    with open_frames(str(path)) as frames:
        assert len(list(frames)) == 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, WriteError])
def test_a_video_of_nothing_is_not_left(tmp_path, error):
    with (
        pytest.raises(error),
        open_album(tmp_path / "seen.mp4", live=False, rate=10, every=1),
    ):
        raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "live", "words"),
    [("x.mp4", True, "no steady frame rate"), ("x.jpg", False, "folder"), ("x.mkv", False, "mp4")],
)
def test_places_at_which_nothing_can_be_drawn(tmp_path, place, live, words):
    with (
        pytest.raises(ConfigError, match=words),
        open_album(tmp_path / place, live=live, rate=None, every=1),
    ):
        pass


def test_nothing_is_drawn_where_nothing_was_asked_for():
    with open_album(None, live=True, rate=None, every=1) as album:
        assert isinstance(album, NoAlbum)
        assert [event.picture for event in watch(album, [{"ada": 10}] * 2)] == [None]


def test_who_is_uncertain_is_drawn_so(tmp_path):
    watcher = Watcher(SquareFinder(), ColourGallery("ada"), keep_frames=True)
    for k in range(2):
        watcher.look(frame(k, {"ada": 10}))
    ((event, best),) = watcher.finish()
    perhaps = replace(event, outcome="uncertain", identity=None)
    with open_album(tmp_path / "seen", live=True, rate=None, every=1) as album:
        drawn = read_image(album.keep(perhaps, best).picture)
    assert near(drawn, AMBER) > 600 and near(drawn, GREEN) == 0
