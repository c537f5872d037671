"""What a run says at each look at its held-out people."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mfr.training import guard
from mfr.training.judge import Judge
from mfr.training.validation import figures
from tests.training.test_guard import judged

START, NOW = "the start", "the network now"


def judge(answers, *, start=True):
    """A judge whose validator has these answers, by what it judges; and what it was asked."""
    asked = []

    def answer(encoder):
        asked.append(encoder)
        return answers[encoder]

    built = SimpleNamespace(
        start={"weight": 1} if start else {}, encoder=lambda weights=None: START if weights else NOW
    )
    return Judge(SimpleNamespace(judge=answer), built, seed=0), asked


BEFORE = {"web": judged(0.7, people=12), "night": judged(0.8, people=12, seed=1)}
AFTER = {"web": judged(0.6, people=12), "night": judged(1.2, people=12, seed=1)}


def test_a_look_stands_beside_the_start_which_is_judged_once():
    found, asked = judge({START: BEFORE, NOW: AFTER})
    first = found.look(0)
    assert first.worst is None
    # 36 images have 594 non-mated pairs, which resolve an FMR of 1% no better than 5.9 errors.
    assert first.figures["night/fmr"] == guard.resolved_fmr(BEFORE["night"]) == 0.01
    assert first.figures["night/fnmr"] == pytest.approx(1 - first.figures["night/tar"])
    assert not any("change" in name for name in first.figures)
    later = found.look(5)
    found.look(6)
    assert asked == [START, NOW, NOW]
    for domain in BEFORE:
        before, now = (one.figures[f"{domain}/fnmr"] for one in (first, later))
        change = later.figures[f"{domain}/fnmr_change"]
        assert change == pytest.approx(now - before)
        low, high = (later.figures[f"{domain}/fnmr_change_{end}"] for end in ("low", "high"))
        assert low <= change <= high
    assert later.figures["night/fnmr_change"] > 0.1 > 0 >= later.figures["web/fnmr_change"]
    assert later.worst.domain == "night"
    assert later.worst.end - later.worst.start == later.figures["night/fnmr_change"]
    assert figures(AFTER).items() <= later.figures.items()


def test_the_worst_domain_is_the_one_that_lost_most_of_what_it_had():
    # From 1 to 3 errors is worse than from 10 to 13.
    few, many = judged(0.45, people=12), judged(1.3, people=12, seed=1)
    found, _ = judge(
        {
            START: {"a": few, "b": many},
            NOW: {"a": judged(0.75, people=12), "b": judged(1.6, people=12, seed=1)},
        }
    )
    worst = found.look(1).worst
    ratios = guard.relative_fnmr(found.start, found.judge(NOW))
    assert ratios["a"] > ratios["b"] > 1
    assert worst.domain == "a"


def test_with_too_few_people_there_is_no_interval_and_without_a_start_nothing_beside_it():
    before, now = ({"web": judged(noise, people=5)} for noise in (0.7, 1.2))
    found, _ = judge({START: before, NOW: now})
    assert set(found.look(1).figures) == {
        f"web/{name}" for name in ("tar", "auc", "fnmr", "fnmr_change")
    }
    found, asked = judge({NOW: now}, start=False)
    for step in (0, 1):
        seen = found.look(step)
        assert (seen.figures, seen.worst) == (figures(now), None)
    assert asked == [NOW, NOW]
