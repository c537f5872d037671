"""All pairs in blocks against all pairs at once, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from mfr.benchmark import every_pair
from mfr.benchmark.comparisons import compare_all
from mfr.benchmark.every_pair import EDGES, compare_every_pair
from mfr.benchmark.every_pair_report import benchmark_every_pair
from mfr.benchmark.metrics import Scores, auc, operating_points
from mfr.benchmark.protocols import benchmark_domain
from mfr.benchmark.writing import write_report
from mfr.errors import DataError

FMRS = [1.0, 0.5, 0.1, 0.01, 1e-3, 1e-4, 0.0]


@pytest.fixture
def faces():
    """90 people with 1 to 6 images in random order; few values, so that scores are often tied."""
    generator = np.random.default_rng(0)
    persons = np.repeat(np.arange(90), 1 + np.arange(90) % 6)
    persons = persons[generator.permutation(len(persons))]
    centres = generator.integers(-1, 2, size=(90, 6))
    rows = (centres[persons] + generator.integers(-1, 2, (len(persons), 6)) / 2).astype(np.float32)
    rows[~rows.any(axis=1)] = 1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), persons


@pytest.mark.parametrize("block", [1, 700, 1 << 22])
@pytest.mark.parametrize("missing", [0, 9])
def test_counts_agree_with_all_pairs_at_once(faces, monkeypatch, block, missing):
    monkeypatch.setattr(every_pair, "BLOCK", block)
    embeddings, persons = faces
    # Scores of one matrix product differ from those of another in the last bit; eighths do not.
    embeddings = np.round(embeddings * 8) / 8
    acquired = np.ones(len(persons), bool)
    acquired[:missing] = False
    whole = compare_all(embeddings, persons, acquired)
    scores = Scores.of(whole.mated.scores, whole.nonmated.scores)
    found = compare_every_pair(embeddings, persons, acquired, threads=2)
    assert len(found.mated) + found.failed_mated == len(scores.mated)
    assert (found.nonmated, found.failed_mated, found.failed_nonmated) == (
        len(scores.nonmated),
        whole.mated.failed.sum(),
        whole.nonmated.failed.sum(),
    )
    np.testing.assert_array_equal(found.mated, scores.measured_mated)
    np.testing.assert_array_equal(found.reached, scores.nonmated_at(found.mated))
    assert found.tied.sum() > 0
    assert [found.tar_at(fmr) for fmr in FMRS] == operating_points(scores, FMRS).tar.tolist()
    assert found.auc == auc(scores)
    measured = scores.measured_nonmated
    assert found.below.tolist() == [(measured < edge).sum() for edge in EDGES]
    assert (persons[found.rows] >= 0).all() and len(found.rows) == len(found.mated)


def test_rates_agree_with_scikit_learn(faces):
    embeddings, persons = faces
    found = compare_every_pair(embeddings, persons)
    first, second = np.triu_indices(len(persons), 1)
    scores = (embeddings @ embeddings.T)[first, second]
    mated = persons[first] == persons[second]
    assert found.auc == pytest.approx(roc_auc_score(mated, scores), abs=1e-5)
    false, true, _ = roc_curve(mated, scores, drop_intermediate=False)
    for fmr in FMRS[:-2]:
        assert found.tar_at(fmr) == pytest.approx(true[false <= fmr].max(), abs=0.02)


def test_the_number_of_threads_changes_nothing(faces, monkeypatch):
    monkeypatch.setattr(every_pair, "BLOCK", 500)
    one, three = (compare_every_pair(*faces, threads=threads) for threads in (1, 3))
    for name in ("mated", "reached", "tied", "below"):
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name))


def test_whose_mated_pairs_they_are(faces):
    embeddings, persons = faces
    found = compare_every_pair(embeddings, persons)
    counts = np.bincount(persons)
    expected = counts * (counts - 1) // 2
    np.testing.assert_array_equal(np.bincount(persons[found.rows], minlength=90), expected)


def test_nothing_to_compare():
    rows = np.eye(3, dtype=np.float32)
    for persons in ([0, 1, 2], [0, 0, 0]):
        with pytest.raises(DataError, match="no mated or no non-mated"):
            compare_every_pair(rows, np.array(persons))


@pytest.mark.slow
def test_a_report_of_every_pair_says_what_all_pairs_say(dataset, encoder):
    options = {"resamples": 50, "name": "run"}
    every = benchmark_every_pair(encoder, dataset, "lfw", **options)
    whole = benchmark_domain(encoder, dataset, "lfw", protocol="all-pairs", **options)
    for key in ("tar@fmr=0.01", "auc", "fta"):
        assert every.metric(key).value == pytest.approx(whole.metric(key).value)
    assert every.metric("tar@fmr=1e-06").value is None  # refused: 408 pairs cannot tell it
    assert every.counts == whole.counts
    assert sum(every.histogram.mated) == every.counts.mated
    assert sum(every.histogram.nonmated) == every.counts.nonmated
    for curve in (every.roc, whole.roc):
        np.testing.assert_allclose(curve.tar, whole.roc.tar)
    assert every.title == "run (fake) on lfw, every pair"
    # Eight people have two images with a crop or more, too few for an interval.
    crops, alignments = dataset.column("crop"), dataset.column("alignment")
    crops[2], alignments[2] = None, "missed"
    bare = dataset.with_columns({"crop": crops, "alignment": alignments})
    few = benchmark_every_pair(encoder, bare, "lfw", resamples=50)
    for key in ("tar@fmr=0.01", "auc"):
        assert few.metric(key).interval is None
        assert "here are 8" in few.metric(key).interval_reason
    alike = benchmark_domain(encoder, bare, "lfw", protocol="all-pairs", resamples=50)
    assert few.warnings == alike.warnings and "1 of 30 images have no crop" in few.warnings[0]
    page = write_report(every, dataset.root / "report")[1].read_text()
    assert "Worst mistakes" not in page and "own threshold" not in page
