from __future__ import annotations

import datetime

import pytest

from mfr.errors import ConfigError, ModelError
from mfr.watching.watcher import Watcher
from tests.watching.fakes import ColourGallery, SquareFinder, frame


def test_who_was_in_view_when_and_best_on_which_frame():
    watcher = Watcher(SquareFinder([45, 45, 70, 90, 80]), ColourGallery("ada", "bob"))
    told = []
    for k in range(30):
        squares = {"ada": 10 + 5 * k} if k < 5 else {"eve": 200} if k < 12 else {}
        told += watcher.look(frame(k, squares))
    assert watcher.finish() == []
    (ada, best), (nobody, _) = told
    assert (ada.track, ada.identity, ada.nearest, ada.score) == (1, "ada", "ada", 1.0)
    assert (ada.outcome, nobody.outcome, ada.fpir) == ("match", "nobody", 0.01)
    assert (ada.threshold, ada.start, ada.end, ada.sightings) == (0.9, 0.0, 0.4, 5)
    assert (ada.best_frame, ada.best_time, best.frame) == (3, 0.3, 3)
    assert ada.box == (25, 90, 85, 150) and ada.started_at is None
    assert (nobody.identity, nobody.score, nobody.start, nobody.end) == (None, 0.0, 0.5, 1.1)
    assert best.pixels is None


def test_the_last_ones_are_told_of_at_the_end_in_the_order_of_their_tracks():
    watcher = Watcher(SquareFinder(), ColourGallery(), keep_frames=True)
    for k in range(3):
        assert watcher.look(frame(k, {"bob": 200, "ada": 10})) == []
    found = watcher.finish()
    assert [event.track for event, _ in found] == [1, 2]
    assert all(event.nearest is None and event.score is None for event, _ in found)
    assert found[0][1].pixels is not None
    assert watcher.finish() == []


def test_what_is_good_on_too_few_frames_is_not_told_of():
    for blurs, told in (([100, 100], 1), ([100, 1, 1, 1], 0)):
        watcher = Watcher(SquareFinder(blurs), ColourGallery("ada"))
        for k in range(len(blurs)):
            watcher.look(frame(k, {"ada": 10}))
        assert len(watcher.finish()) == told


def test_who_stays_is_told_of_again_and_again():
    watcher = Watcher(SquareFinder(), ColourGallery("ada"), longest=1.05)
    told = [event for k in range(30) for event, _ in watcher.look(frame(k, {"ada": 10}))]
    assert [(event.track, event.start, event.end) for event in told] == [
        (1, 0.0, 1.1),
        (2, 1.2, 2.3),
    ]


def test_who_is_in_view_as_far_as_can_be_told():
    watcher = Watcher(SquareFinder(), ColourGallery("ada"))
    watcher.look(frame(0, {"ada": 10, "eve": 200}))
    ada, eve = watcher.in_view()
    assert (ada.track, ada.found.identity, ada.found.outcome) == (1, "ada", "match")
    assert (eve.found.identity, eve.found.outcome) == (None, "nobody")
    watcher.look(frame(1, {}))
    assert watcher.in_view() == []


def test_a_live_source_has_times_by_the_clock():
    before = datetime.datetime.now(datetime.timezone.utc)
    watcher = Watcher(SquareFinder(), ColourGallery("ada"), live=True)
    for k in (0, 20, 21):
        watcher.look(frame(k, {"ada": 10} if k else {}))
    ((event, _),) = watcher.finish()
    started = datetime.datetime.fromisoformat(event.started_at)
    assert started.utcoffset() == datetime.timedelta(0)
    assert abs((started - before).total_seconds() - 2.0) < 1


def test_thresholds_and_impossible_numbers():
    uncalibrated = ColourGallery("ada")
    uncalibrated.calibration = None
    Watcher(SquareFinder(), uncalibrated, threshold=0.3)
    with pytest.raises(ModelError, match="no calibration"):
        Watcher(SquareFinder(), uncalibrated)
    for numbers in (
        {"gap": 0},
        {"longest": -1},
        {"min_sightings": 0},
        {"threshold": 2},
        {"fpir": 0},
    ):
        with pytest.raises(ConfigError):
            Watcher(SquareFinder(), ColourGallery(), **numbers)
