"""Several models on several domains: differences, names, pages."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mfr.benchmark.measurement import measure
from mfr.benchmark.overview import Overview, judge_models, map_embeddings
from mfr.benchmark.paired import between, compare_encoders
from mfr.benchmark.protocols import judge_domain
from mfr.benchmark.report import Metric
from mfr.benchmark.verdicts import compared_verdict, ruling, verdict
from mfr.benchmark.writing import write_overview
from tests.benchmark.conftest import FakeEncoder, make_dataset
from tests.benchmark.test_paired import PERSONS, compared
from tests.benchmark.test_report import HOSTILE, Page


class Blind(FakeEncoder):
    """An encoder that sees a part of every crop only."""

    model_hash = "e" * 64

    def __init__(self, **options):
        super().__init__(**options)
        self.projection[24:] = 0


@pytest.fixture
def data(tmp_path):
    rows = make_dataset(tmp_path, {f"p{i:02d}": 4 for i in range(24)}, noise=60)
    domains = ["easy" if int(path[8:10]) < 12 else "hard" for path in rows.column("path")]
    return rows.with_columns({"domain": domains})


def test_differences_are_those_of_two_encoders_judged_apart(data):
    sharp, blind = FakeEncoder(), Blind()
    options = {"seed": 3, "resamples": 100}
    apart = compare_encoders(sharp, blind, data, "hard", **options)
    first, second = (judge_domain(one, data, "hard", **options) for one in (sharp, blind))
    found = {one.key: one for one in between(first.measured, second.measured)}
    for one in apart:
        if one.key in found:  # a rate that cannot be told is not compared
            assert found[one.key].value == pytest.approx(one.value)
            assert found[one.key].interval == pytest.approx(one.interval)
    assert {"tar@fmr=0.01", "auc", "eer", "rank1"} <= set(found)


def test_relative_differences_of_the_fnmr():
    good, bad = (measure(compared(noise), PERSONS, seed=0, resamples=100) for noise in (0.5, 1.0))
    found = {one.key: one for one in between(good, bad)}
    refused = [
        1 - next(m.value for m in one.metrics if m.key == "tar@fmr=0.01") for one in (good, bad)
    ]
    relative = found["fnmr@fmr=0.01:relative"]
    assert relative.value == pytest.approx(refused[0] / refused[1] - 1)
    assert -1 <= relative.interval[0] < relative.value < relative.interval[1] < 0


@pytest.mark.slow
def test_an_overview_of_models_and_domains(data, tmp_path):
    encoders = {
        "start": Blind(sources=["easy"], seen=None),
        HOSTILE: FakeEncoder(sources=["easy", "hard"]),
    }
    judged = judge_models(encoders, data, ["hard", "easy"], resamples=50, gap_from=["easy"])
    overview = judged.overview
    assert overview.title == f"{HOSTILE} against start on hard, easy"
    hard, easy = overview.domains["hard"], overview.domains["easy"]
    assert [one.status for one in hard.standings.values()] == ["unseen", "seen"]
    assert [one.status for one in easy.standings.values()] == ["seen", "seen"]
    assert set(hard.differences) == {HOSTILE}
    area = next(one for one in hard.differences[HOSTILE] if one.key == "auc")
    values = [one.metric("auc").value for one in hard.standings.values()]
    assert area.value == pytest.approx(values[1] - values[0])
    assert ruling(area) == "better" and "better on" in overview.verdict[0]
    # The threshold of the easy domain is tried on the other only.
    assert len(hard.standings["start"].fixed_thresholds) == 1
    assert easy.standings["start"].fixed_thresholds == []
    # Histograms share their bins, and the maps have every domain.
    edges = [one.histogram.edges for d in (hard, easy) for one in d.standings.values()]
    assert all(one == edges[0] for one in edges)
    assert {name: len(one) for name, one in overview.maps["start"].points.items()} == {
        "hard": 48,
        "easy": 48,
    }
    assert set(judged.reports) == {(n, d) for n in encoders for d in ("hard", "easy")}
    path, page = write_overview(overview, tmp_path / "out")
    assert Overview.model_validate(json.loads(path.read_text())) == overview
    text = page.read_text()
    assert "<script" not in text and not re.search(r"https?:", text)
    parsed = Page(text)
    assert parsed.open == []
    identifiers = [value for name, value in parsed.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    words = re.sub(r"\s+", " ", " ".join(parsed.words))
    assert overview.verdict[0] in words and "Trained on domain easy" in words
    # What holds of a model on every domain is told once, before the domains.
    assert words.count("does not say whom it was trained on") == 1
    assert words.index("Note on start. The model does not say") < words.index("At thresholds set")
    assert words.count(f"Note on {HOSTILE}. The model was trained on domain hard, though on") == 1
    assert "start domain unseen" in words and f"{HOSTILE} domain seen" in words
    # 12 people with 4 images: 36 probes meet 11 strangers each.
    assert "an FMR of 0.25% here, the lowest that 396 non-mated comparisons can tell" in words
    pictures = sum(len(s.mistakes) for d in (hard, easy) for s in d.standings.values())
    assert parsed.tags.count("img") == 2 * pictures


@pytest.mark.slow
def test_one_model_on_two_domains_is_compared_with_nobody(data, tmp_path):
    overview = judge_models({"a": FakeEncoder()}, data, ["hard", "easy"], resamples=0).overview
    assert overview.domains["hard"].differences == {} and overview.title == "a on hard, easy"
    write_overview(overview, tmp_path)


def test_a_model_given_twice_is_told(data):
    encoders = {"a": FakeEncoder(), "b": Blind(), "a-2": FakeEncoder()}
    verdict = judge_models(encoders, data, ["hard"], resamples=0).overview.verdict
    assert verdict[0] == "a-2 and a are one model, given twice."
    assert sum("given twice" in sentence for sentence in verdict) == 1


def test_verdicts_say_what_a_rate_rests_on():
    def rated(key, errors):
        return Metric(key=key, name="X", rule="", value=0.5, errors=errors)

    told = {
        "tar@fmr=0.001": "X: 50.00%, resting on 2 false matches only.",
        "fnir@fpir=0.1": "X: 50.00%, resting on 2 strangers taken for somebody only.",
    }
    for key, sentence in told.items():
        report = SimpleNamespace(
            metrics=[rated(key, 2)],
            fixed_thresholds=[],
            galleries=[],
            groups=None,
            protocol="every-pair",
        )
        assert verdict(report)[0] == sentence


def test_hardest_pairs_show_each_two_people_once(data):
    overview = judge_models({"a": Blind()}, data, ["hard"], resamples=0).overview
    shown = [
        (one.kind, frozenset(one.identities))
        for one in overview.domains["hard"].standings["a"].mistakes
    ]
    assert len(shown) == len(set(shown)) > 0


def test_a_map_keeps_what_two_dimensions_can():
    plane = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    turned = plane @ np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0][:2].astype("f4")
    found = map_embeddings({"a": turned[:10], "b": turned[10:]})
    assert found.share == pytest.approx(1)
    places = np.array(found.points["a"] + found.points["b"])
    distances, wanted = (
        np.linalg.norm(one[:, None] - one[None], axis=2) for one in (places, plane)
    )
    np.testing.assert_allclose(distances, wanted, atol=2e-3)


def test_verdicts_name_what_cannot_be_told_apart():
    good = measure(compared(0.8), PERSONS, seed=0, resamples=50)
    same = {"there": {"twin": between(good, good)}}
    assert (
        "twin against start: not distinguishable on there"
        in compared_verdict(["start", "twin"], same)[0]
    )
    assert compared_verdict(["start"], {"there": {}}) == []
    few = {"there": {"twin": [replace(one, interval=None) for one in same["there"]["twin"]]}}
    (told,) = compared_verdict(["start", "twin"], few)
    # Without an interval nobody has tried to tell them apart.
    assert told.startswith("twin against start: nothing can be said on there (TAR at FMR")
    assert told.endswith("no interval).")
