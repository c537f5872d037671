"""Pairs of faces, within a set and between two, against a plain loop."""

import numpy as np
import pytest

from mfr.benchmark import scores as scores_module
from mfr.benchmark.calibration import measure_calibration
from mfr.benchmark.scores import Faces, mated_scores, nonmated_pairs, nonmated_scores


def faces(seed, persons, photos=None):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(len(persons), 5))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Faces(
        unit.astype(np.float32),
        np.array(persons),
        None if photos is None else np.array(photos),
    )


def plain(first, second, mated):
    """Sorted scores by a loop over all pairs."""
    other = first if second is None else second
    found = []
    for i in range(len(first)):
        for j in range(len(other)):
            if second is None and i >= j:
                continue
            if second is not None and first.photos is not None and second.photos is not None:
                same_photo = first.photos[i] == second.photos[j]
            else:
                same_photo = False
            if (first.persons[i] == other.persons[j]) == mated and not (mated and same_photo):
                found.append(first.embeddings[i] @ other.embeddings[j])
    return np.sort(found)


@pytest.mark.parametrize("block", [7, 1 << 20])
def test_all_pairs_are_those_of_a_plain_loop(monkeypatch, block):
    monkeypatch.setattr(scores_module, "_BLOCK", block)
    first = faces(0, [3, 1, 1, 2, 3, 1], photos=[0, 1, 2, 3, 4, 5])
    second = faces(1, [1, 3, 3, 7], photos=[1, 0, 9, 8])
    for other in (None, second):
        for mated, score in ((True, mated_scores), (False, nonmated_scores)):
            got = np.sort(score(first, other, seed=0))
            np.testing.assert_allclose(got, plain(first, other, mated), rtol=1e-5)


def test_drawn_pairs_between_two_sets_are_of_the_right_kind(monkeypatch):
    monkeypatch.setattr(scores_module, "MAX_PAIRS", 50)
    first = faces(0, np.arange(30) % 3, photos=np.arange(30))
    second = faces(1, np.arange(30) % 5, photos=np.arange(30))
    (pairs,) = nonmated_pairs(first, second, seed=0)
    assert len(pairs[2]) == 50 and (first.persons[pairs[0]] != second.persons[pairs[1]]).all()
    drawn = mated_scores(first, second, seed=0)
    every = plain(first, second, True)
    assert len(drawn) == 50 < len(every)
    assert np.abs(drawn[:, None] - every[None]).min(axis=1).max() < 1e-6


def test_intervals_are_those_of_leaving_out_each_person():
    one = faces(0, np.arange(60) // 3)
    made = measure_calibration(one, source="toy")
    assert made.fmr_intervals is not None
    for threshold, fmr, (low, high) in zip(
        made.thresholds, made.fmrs, made.fmr_intervals, strict=True
    ):
        without = []
        for person in range(20):
            kept = one.persons != person
            rest = Faces(one.embeddings[kept], one.persons[kept])
            without.append((nonmated_scores(rest, seed=0) >= np.float32(threshold)).mean())
        error = np.sqrt(19 / 20 * ((without - np.mean(without)) ** 2).sum())
        assert np.log(high / fmr) == pytest.approx(1.959964 * error / fmr, rel=1e-6) or high == 1
        assert np.log(fmr / low) == pytest.approx(1.959964 * error / fmr, rel=1e-6)


def test_intervals_hold_the_true_rate_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(60):
        vectors = rng.normal(size=(120, 8))
        unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        made = measure_calibration(Faces(unit, np.arange(120) // 2), source="toy")
        k = int(np.argmin(np.abs(np.array(made.fmrs) - 0.1)))
        low, high = made.fmr_intervals[k]
        # The cosine of two random directions in 8 dimensions: (1 + t) / 2 is Beta(7/2, 7/2).
        from scipy.stats import beta

        held.append(low <= beta(3.5, 3.5).sf((1 + made.thresholds[k]) / 2) <= high)
    assert np.mean(held) > 0.85
