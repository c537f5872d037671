import numpy as np
import pytest

from mfr.benchmark.comparisons import compare_all
from mfr.training import guard
from mfr.training.validation import Judged


def judged(noise, people=40, images=3, seed=0, dimensions=16):
    """People around directions of their own; ``noise`` is how far their images lie from them."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(people, 1, dimensions))
    drawn = generator.normal(size=(people, images, dimensions))
    faces = (centres + noise * drawn).reshape(-1, dimensions)
    faces = (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)
    persons = np.repeat(np.arange(people, dtype=np.int32), images)
    return Judged(compare_all(faces, persons), persons)


@pytest.mark.slow
def test_a_worse_result_is_told_and_a_better_one_is_not():
    start = {"web": judged(0.6), "night": judged(0.8, seed=1)}
    worse = {"web": judged(0.55), "night": judged(1.3, seed=1)}
    known = {one.domain: one for one in guard.compare(start, worse, seed=0)}
    assert known["night"].worse
    assert not known["web"].worse
    assert known["night"].end > known["night"].start
    low, high = known["night"].interval
    assert low < known["night"].end - known["night"].start < high
    assert str(known["night"]).startswith("night: FNMR")


@pytest.mark.slow
def test_no_change_is_not_worse():
    same = {"web": judged(0.6)}
    (known,) = guard.compare(same, same, seed=0)
    assert known.interval == (0, 0)
    assert not known.worse


def test_few_people_give_no_interval_and_refuse_nothing():
    start, end = {"web": judged(0.5, people=5)}, {"web": judged(2.0, people=5)}
    (known,) = guard.compare(start, end, seed=0)
    assert known.interval is None
    assert not known.worse


@pytest.mark.slow
def test_a_point_is_as_good_as_its_worst_domain():
    start = {"web": judged(0.8), "night": judged(0.8, seed=1)}
    assert guard.worst_relative_fnmr(start, start) == 1
    mixed = {"web": judged(0.4), "night": judged(1.1, seed=1)}
    rate = guard.compare(start, mixed, seed=0)[1]
    half = 0.5 / (40 * 3)
    assert guard.worst_relative_fnmr(start, mixed) == pytest.approx(
        (rate.end + half) / (rate.start + half)
    )
    assert guard.worst_relative_fnmr({}, {}) == 1
