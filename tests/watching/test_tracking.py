from __future__ import annotations

import numpy as np
import pytest

from mfr.watching.tracking import Sighting, Tracker, intersection_over_union

ADA, BOB, EVE = np.eye(3, dtype=np.float32)


def sighting(embedding, left=0.0, *, at=0.0, weight=1.0, good=True) -> Sighting:
    """A face of 10 by 10 pixels whose box begins at ``left``."""
    box = np.array([left, 0, left + 10, 10], np.float32)
    return Sighting(round(at * 10), at, box, np.asarray(embedding, np.float32), weight, good)


def mixed(cosine: float) -> np.ndarray:
    """An embedding whose cosine with ADA is ``cosine``."""
    return np.array([cosine, np.sqrt(1 - cosine**2), 0], np.float32)


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(threshold=0.6, near=0.3, gap=1.0)


def numbers(tracker: Tracker, *sightings: Sighting) -> list[int]:
    return [track.number for track in tracker.follow(sightings)]


def test_intersection_over_union():
    one = np.array([0, 0, 10, 10])
    assert intersection_over_union(one, one) == 1
    assert intersection_over_union(one, np.array([5, 0, 15, 10])) == pytest.approx(50 / 150)
    assert intersection_over_union(one, np.array([10, 0, 20, 10])) == 0
    assert intersection_over_union(one, np.array([20, 20, 30, 30])) == 0
    assert intersection_over_union(np.zeros(4), np.zeros(4)) == 0


def test_a_face_that_moves_keeps_its_track(tracker):
    assert [numbers(tracker, sighting(ADA, 3 * k, at=k / 10)) for k in range(20)] == [[1]] * 20
    (track,) = tracker.take_all()
    assert (track.sightings, track.start, track.last.seconds) == (20, 0.0, 1.9)


def test_a_cut_to_another_face_in_the_same_place_begins_a_track(tracker):
    assert numbers(tracker, sighting(ADA)) == [1]
    assert numbers(tracker, sighting(BOB, at=0.1)) == [2]


@pytest.mark.parametrize(
    ("cosine", "left", "number"),
    [(0.59, 0, 1), (0.31, 0, 1), (0.29, 0, 2), (0.61, 50, 1), (0.59, 50, 2)],
)
def test_the_same_place_asks_for_less_likeness(tracker, cosine, left, number):
    numbers(tracker, sighting(ADA))
    assert numbers(tracker, sighting(mixed(cosine), left, at=0.1)) == [number]


def test_two_who_pass_each_other_keep_their_tracks(tracker):
    for k in range(11):
        found = numbers(
            tracker, sighting(ADA, 5 * k, at=k / 10), sighting(BOB, 50 - 5 * k, at=k / 10)
        )
        assert found == [1, 2]
    assert numbers(tracker, sighting(BOB, 0, at=1.1), sighting(ADA, 50, at=1.1)) == [2, 1]


def test_the_sum_over_all_pairs_decides_and_not_the_best_pair(tracker):
    # The first face of the second frame is most like track 1, but only it is like track 2.
    numbers(tracker, sighting(ADA, 0), sighting(mixed(0.5), 100))
    first, second = sighting(mixed(0.9), 50, at=0.1), sighting(ADA, 0, at=0.1)
    assert numbers(tracker, first, second) == [2, 1]


def test_who_is_not_seen_for_longer_than_the_gap_has_gone(tracker):
    numbers(tracker, sighting(ADA))
    assert tracker.take_ended(1.0) == []
    assert [track.number for track in tracker.take_ended(1.1)] == [1]
    assert numbers(tracker, sighting(ADA, at=1.1)) == [2]


def test_who_stays_longer_is_given_out_and_followed_on(tracker):
    for k in range(31):
        numbers(tracker, sighting(ADA, at=k / 10))
    assert tracker.take_longer_than(3.0) == []
    numbers(tracker, sighting(ADA, at=3.1))
    assert [track.number for track in tracker.take_longer_than(3.0)] == [1]
    assert numbers(tracker, sighting(ADA, at=3.2)) == [2]


def test_the_best_sighting_and_the_fused_embedding(tracker):
    for at, weight, good in ((0.0, 1.0, True), (0.1, 3.0, True), (0.2, 3.0, False)):
        tracker.follow([sighting(mixed(1 - at), at=at, weight=weight, good=good)])
    (track,) = tracker.take_all()
    assert (track.best.seconds, track.sightings, track.good) == (0.1, 3, 2)
    mean = mixed(1) + 3 * mixed(0.9) + 3 * mixed(0.8)
    assert track.embedding == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert track.embedding.dtype == np.float32
