"""Open-set identification worked out by hand, and against searches one at a time."""

from __future__ import annotations

import numpy as np
import pytest

from mfr.benchmark import bootstrap, open_set
from mfr.benchmark.open_set import Searched, benchmark_open_set, measure_galleries, search
from mfr.benchmark.protocols import judge_domain
from mfr.benchmark.report import Report
from mfr.benchmark.writing import write_report
from mfr.errors import DataError
from tests.benchmark.conftest import FakeEncoder, make_dataset


def test_rates_by_hand():
    # Persons 0 and 1 are enrolled; 2 and 3 are strangers with five searches each.
    persons = np.array([0, 1, 0, 0, 1, 1] + [2] * 5 + [3] * 5, np.int32)
    searched = Searched(
        gallery=np.array([0, 1], np.int32),
        mated=np.arange(2, 6, dtype=np.int32),
        place=np.array([0, 0, 1, 1]),
        own=np.array([0.9, 0.5, 0.8, 0.6], np.float32),
        strange=np.arange(6, 16, dtype=np.int32),
        sizes=(1, 2),
        # In the gallery of both, the last search gives the other person first.
        other=np.array([[-np.inf, -np.inf, 0.1, 0.1], [0.2, 0.2, 0.2, 0.7]], np.float32),
        top=np.array([np.linspace(0, 0.45, 10), np.linspace(0.1, 0.55, 10)], np.float32),
        top_place=np.zeros(10, np.intp),
        ranks=np.array([1, 1, 1, 2], np.int32),
    )
    one, both = measure_galleries(searched, persons, seed=0, resamples=0)
    assert (one.people, one.searches, both.people, both.searches) == (1, 2, 2, 4)
    tenth, hundredth = both.metrics
    # One of ten strangers, 0.55, may be named: the threshold is it, and 0.5 and the miss are not.
    assert (tenth.value, tenth.errors) == (2 / 4, 1)
    assert tenth.threshold == pytest.approx(0.55)
    assert hundredth.value is None and "cannot tell an FPIR below 10%" in hundredth.reason
    assert one.metrics[0].value == 0  # both searches beat 0.45


def test_resampled_searches_count_by_person():
    weights = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 2, 3, 0]])
    drawn = bootstrap.resample_searches(
        np.array([0.9, 0.3]),
        np.array([0, 1]),
        np.array([0.5, 0.1]),
        np.array([2, 3]),
        weights,
        [0.0, 0.5],
    )
    assert drawn.tar[:, 0].tolist() == [0.5, 1, 0]
    # At an FPIR of one half the threshold may fall to 0.3 unless all strangers drawn score 0.5.
    assert drawn.tar[:, 1].tolist() == [1, 1, 0]


@pytest.fixture
def data(tmp_path):
    images = {f"p{i:02d}": 4 for i in range(30)} | {f"single{i}": 1 for i in range(10)}
    return make_dataset(tmp_path, images, noise=90)


def test_searches_agree_with_one_at_a_time(data, monkeypatch):
    monkeypatch.setattr(open_set, "SIZES", (3, 10))
    monkeypatch.setattr(open_set, "_ROWS", 7)
    judged = judge_domain(FakeEncoder(), data, "lfw", resamples=0)
    embeddings, persons, names = judged.embeddings, judged.persons, judged.rows.column("person")
    acquired = np.ones(len(names), bool)
    acquired[[5, 50]] = False
    paths = judged.rows.column("path")
    found = search(embeddings, persons, acquired, names, paths, seed=1)
    assert found.sizes == (3, 10, 15)
    assert len(found.mated) == 15 * 3 and len(found.strange) == 15 * 4 + 10
    assert not set(persons[found.gallery]) & set(persons[found.strange])
    for number, size in enumerate(found.sizes):
        gallery = found.gallery[:size]
        for i, row in enumerate(found.strange):
            scores = embeddings[gallery] @ embeddings[row]
            expected = scores.max() if acquired[row] else -np.inf
            assert found.top[number, i] == pytest.approx(expected, abs=1e-6)
        here, scores = found.in_gallery(number)
        for row, score in zip(found.mated[here], scores, strict=True):
            every = embeddings[gallery] @ embeddings[row]
            best = int(every.argmax())
            hit = acquired[row] and persons[gallery[best]] == persons[row]
            assert score == pytest.approx(every[best] if hit else -np.inf, abs=1e-6)
    hits = np.isfinite(found.in_gallery(2)[1])
    np.testing.assert_array_equal(found.ranks == 1, hits)


@pytest.mark.slow
def test_a_report_of_an_open_set(data, tmp_path):
    report = benchmark_open_set(FakeEncoder(), data, "lfw", resamples=50, name="run")
    assert report.title == "run (fake) on lfw, open set"
    counts = report.counts
    assert (counts.people, counts.strangers, counts.mated) == (40, 25, 45)
    assert [one.people for one in report.galleries] == [10, 15]
    fnir = report.metric("fnir@fpir=0.1")
    low, high = fnir.interval
    assert low <= fnir.value <= high and fnir.fnmr is None
    assert report.metric("fnir@fpir=0.01").value is None
    write_report(report, tmp_path / "out")
    assert Report.read(tmp_path / "out") == report
    page = (tmp_path / "out/report.html").read_text()
    assert "Galleries of rising size" in page and "false positive identification rate" in page
    again = benchmark_open_set(FakeEncoder(), data, "lfw", resamples=50, name="run")
    assert again.metrics == report.metrics
    other = benchmark_open_set(FakeEncoder(), data, "lfw", resamples=50, seed=1)
    assert other.metrics != report.metrics


def test_somebody_must_be_a_stranger(tmp_path):
    data = make_dataset(tmp_path, {"ada": 3, "bob": 1}, noise=1)
    with pytest.raises(DataError, match="at least two people with two images"):
        benchmark_open_set(FakeEncoder(), data, "lfw")
