"""Each pair of photos is judged by the conditions that its two faces resemble."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mfr.calibration import Calibration
from mfr.comparing import compare_all
from mfr.conditions import Calibrations, Regions
from mfr.errors import ConfigError, ModelError
from mfr.faces.cropping import FaceCrop
from mfr.photo_folder import photos_below
from mfr.recogniser import Recogniser
from tests.test_comparing import Colours, Everywhere, paint, run


def calibration(condition: str, threshold: float, against: str = "", lowest: float = 1e-3):
    return Calibration(
        condition=condition,
        against=against,
        thresholds=[threshold, -0.9],
        fmrs=[lowest, 0.5],
        comparisons=10**6,
        people=len(condition),
        source="toy",
    )


def direction(red: float, green: float, blue: float) -> np.ndarray:
    """What `Colours` embeds a photo of this colour as."""
    vector = np.array([red, green, blue]) - 100
    return vector / np.linalg.norm(vector)


RED, BLUE = (200, 60, 60), (60, 60, 200)
REGIONS = Regions(
    discriminants=[(direction(*BLUE) - direction(*RED)).tolist()],
    components=[[0.0, 1.0, 0.0]],
    means=[direction(*RED).tolist(), direction(*BLUE).tolist()],
    farthest=0.25,
)
MIXED = Calibrations(
    measured=(
        calibration("warm", 0.9),
        calibration("cold", 0.5),
        calibration("warm", -0.8, against="cold"),
    ),
    regions=REGIONS,
)


@pytest.fixture
def recogniser() -> Recogniser:
    encoder = Colours()
    encoder.calibration = MIXED
    return Recogniser(Everywhere(), encoder)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three reds and two blues, whose faces resemble two conditions."""
    for number, colour in enumerate(((200, 60, 60), (190, 70, 60), (130, 60, 60))):
        paint(tmp_path / f"red{number}.jpg", colour, number)
    for number, colour in enumerate(((60, 60, 200), (60, 60, 130))):
        paint(tmp_path / f"blue{number}.jpg", colour, 10 + number)
    return tmp_path


def compare(recogniser: Recogniser, folder: Path, **options):
    return compare_all(recogniser, photos_below(folder), fmr=1e-3, **options)


def looks_unlike(_: Recogniser, found: Sequence[FaceCrop]) -> np.ndarray:
    """The brightest red looks like nothing that was measured."""
    return np.array([each.crop[..., 0].mean() > 195 for each in found], bool)


@pytest.mark.parametrize("unlike", [False, True])
def test_a_pair_is_judged_as_two_photos_alone_are(recogniser, folder, monkeypatch, unlike):
    if unlike:
        monkeypatch.setattr(Recogniser, "_unlike", looks_unlike)
    paths = photos_below(folder)
    matches = {}
    for i, first in enumerate(paths):
        for second in paths[i + 1 :]:
            decision = recogniser.compare(first, second)
            matches[str(first), str(second)] = decision
    result = compare(recogniser, folder)
    told = {(pair.first, pair.second): pair for pair in result.pairs}
    assert set(told) == {pair for pair, decision in matches.items() if decision.match}
    assert len(matches) == 10 and 0 < len(told) < 10
    for photos, pair in told.items():
        decision = matches[photos]
        assert pair.score == pytest.approx(decision.score, abs=1e-6)
        assert pair.threshold == pytest.approx(decision.threshold)
        assert pair.fmr == pytest.approx(decision.score_fmr, rel=1e-3)
        assert (pair.condition, pair.people) == (
            decision.measured.condition,
            decision.measured.people,
        )
    assert {pair.condition for pair in result.pairs} == {"warm", "cold", "warm against cold"}
    unsure = [each for each in result.terms if each.warnings]
    # The one face that looks unlike is in four of the pairs.
    assert [each.comparisons for each in unsure] == ([4] if unlike else [])


def test_terms_say_how_many_pairs_each_threshold_judged_and_where_it_was_measured(
    recogniser, folder
):
    terms = compare(recogniser, folder).terms
    assert [(each.comparisons, each.threshold) for each in terms] == [(6, -0.8), (3, 0.9), (1, 0.5)]
    names = [each.measured.condition for each in terms]
    assert names == ["warm against cold", "warm", "cold"]
    assert compare(recogniser, folder).by_chance == pytest.approx(10 * 1e-3)


def test_the_condition_may_be_said(recogniser, folder):
    (terms,) = compare(recogniser, folder, condition="cold").terms
    assert (terms.comparisons, terms.threshold) == (10, 0.5)
    with pytest.raises(ConfigError, match="choose one of 'warm', 'cold'"):
        compare(recogniser, folder, condition="wet")


def test_a_face_unlike_all_is_judged_by_the_worst_with_a_warning(recogniser, folder):
    paint(folder / "green0.jpg", (60, 200, 60), 20)
    paint(folder / "green1.jpg", (60, 150, 60), 21)
    unlike = [each for each in compare(recogniser, folder).terms if each.warnings]
    # With five others each, and one another: all by the higher of the two thresholds.
    assert [(each.comparisons, each.threshold) for each in unlike] == [(11, 0.9)]
    assert "unlike those that the model was measured on" in unlike[0].warnings[0]


def test_a_rate_that_one_calibration_cannot_tell_is_told_as_the_lowest_it_can(recogniser, folder):
    fine = calibration("warm", 0.95, lowest=1e-5)
    recogniser.encoder.calibration = Calibrations(
        measured=(fine, *MIXED.measured[1:]), regions=REGIONS
    )
    result = compare_all(recogniser, photos_below(folder), fmr=1e-5)
    rates = {each.measured.condition: (each.fmr, each.warnings) for each in result.terms}
    assert rates["warm"] == (pytest.approx(1e-5), ())
    rate, (warning,) = rates["cold"]
    assert rate == pytest.approx(1e-3)
    assert "cannot tell a false-match rate of 1e-05: these pairs are judged at 0.001" in warning
    with pytest.raises(ModelError):  # nothing can; no photo is read
        compare_all(recogniser, [Path("missing.jpg")], fmr=1e-7)
    with pytest.raises(ModelError):
        compare_all(recogniser, [Path("missing.jpg")], fmr=1e-5, condition="cold")


def test_words_json_and_csv_say_where_rates_were_measured(
    monkeypatch, recogniser, folder, tmp_path_factory
):
    out = run(monkeypatch, recogniser, folder).stdout
    assert "Measured on" in out and "warm against cold" in out.split("5 photos")[0]
    assert (
        "6 pairs judged by threshold -0.8000: false-match rate 0.001, measured on warm against "
        "cold: 4 people of toy, 1 000 000 comparisons of different people." in out
    )
    assert "about 0.01 pairs of so many strangers would reach them" in out
    answer = json.loads(run(monkeypatch, recogniser, folder, "--json").stdout)
    assert [each["measured"]["condition"] for each in answer["terms"]] == [
        "warm against cold",
        "warm",
        "cold",
    ]
    assert all(pair["condition"] and pair["people"] == 4 for pair in answer["pairs"])
    table = tmp_path_factory.mktemp("out") / "pairs.csv"
    run(monkeypatch, recogniser, folder, "--csv", table, "--condition", "cold")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["condition"], row["people"], row["threshold"]) for row in rows} == {
        ("cold", "4", "0.500000")
    }
