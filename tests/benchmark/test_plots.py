"""Drawings of curves: what they hold, and when there is nothing to draw."""

from __future__ import annotations

import re

import pytest

from mfr.benchmark.plots import cmc_plot, det_plot
from mfr.benchmark.report import RocCurve


def curve(*tar: float) -> RocCurve:
    wanted = [0.001, 0.01, 0.1, 1.0][-len(tar) :]
    return RocCurve(
        fmr=wanted,
        tar=list(tar),
        threshold=[0.5] * len(tar),
        wanted_fmr=wanted,
        low=None,
        high=None,
    )


def words(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_a_curve_without_refusals_is_named_and_draws_nothing():
    assert det_plot({"a": curve(1, 1, 1, 1), "b": curve(1, 1)}) is None
    told = words(det_plot({"a": curve(1, 1, 1, 1), "b": curve(0.9, 0.98, 1, 1)}))
    assert "a: no refusals" in told and "b" in told


def test_every_search_finding_its_person_first_draws_nothing():
    assert cmc_plot({"a": [1.0], "b": [1.0]}) is None
    assert cmc_plot({"a": [1.0], "b": [0.9, 1.0]}) is not None


@pytest.mark.parametrize(("least", "lowest"), [(0.988, "90%"), (0.93, "90%"), (0.64, "60%")])
def test_the_axis_of_a_cmc_goes_up_to_100_from_a_round_share(least, lowest):
    ticks = [word for word in words(cmc_plot({"a": [least, 0.995, 1.0]})) if word.endswith("%")]
    assert (ticks[0], ticks[-1]) == (lowest, "100%")
