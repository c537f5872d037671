"""Paired differences against the reports they are differences of, and against hand-made cases."""

import dataclasses

import numpy as np
import pytest

from mfr.benchmark.comparisons import choose_gallery, compare_with_gallery
from mfr.benchmark.measurement import measure
from mfr.benchmark.paired import differences

PEOPLE, IMAGES = 30, 5
PERSONS = np.repeat(np.arange(PEOPLE), IMAGES).astype(np.int32)


def compared(noise, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(PEOPLE, 8))
    rows = centres[PERSONS] + noise * np.random.default_rng(seed + 1).normal(size=(len(PERSONS), 8))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    names = [str(person) for person in PERSONS]
    gallery = choose_gallery(names, [f"{i}.png" for i in range(len(PERSONS))], seed=0)
    return compare_with_gallery(rows, PERSONS, gallery)


def by_key(first, second, **options):
    found = differences(first, second, PERSONS, **{"seed": 0, "resamples": 200, **options})
    return {one.key: one for one in found}


def test_values_are_those_of_the_reports():
    good, bad = compared(0.5), compared(1.0)
    first, second = (measure(one, PERSONS, seed=0, resamples=0).metrics for one in (good, bad))
    wanted = {a.key: a.value - b.value for a, b in zip(first, second, strict=True) if a.value}
    found = by_key(good, bad)
    assert set(found) == {"tar@fmr=0.01", "tar@fmr=0.001", "auc", "rank1"}
    for key, one in found.items():
        assert one.value == pytest.approx(wanted[key])


def test_an_encoder_does_not_differ_from_itself():
    for one in by_key(compared(0.8), compared(0.8)).values():
        assert (one.value, one.interval) == (0, (0, 0))


def test_the_other_way_round_is_the_negative():
    good, bad = compared(0.5), compared(1.0)
    there, back = by_key(good, bad), by_key(bad, good)
    for key in there:
        low, high = there[key].interval
        assert back[key].value == -there[key].value
        assert back[key].interval == pytest.approx((-high, -low))


def test_a_clear_difference_is_seen_and_people_in_common_narrow_it():
    good, bad = compared(0.6), compared(0.7)
    one = by_key(good, bad)["auc"]
    assert one.interval[0] > 0
    spread = [
        metric.interval[1] - metric.interval[0]
        for which in (good, bad)
        for metric in measure(which, PERSONS, seed=0, resamples=200).metrics
        if metric.key == "auc"
    ]
    # Independent samples would add their variances.
    assert one.interval[1] - one.interval[0] < np.hypot(*spread)


def test_without_resamples_there_is_no_interval_and_a_seed_gives_the_same():
    good, bad = compared(0.5), compared(1.0)
    assert all(one.interval is None for one in by_key(good, bad, resamples=0).values())
    again = [dataclasses.astuple(one) for one in by_key(good, bad).values()]
    assert again == [dataclasses.astuple(one) for one in by_key(good, bad).values()]
