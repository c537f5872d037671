"""Thresholds set elsewhere, worked out by hand, and against the decisions a recogniser makes."""

from __future__ import annotations

import numpy as np
import pytest

from mfr.benchmark import bootstrap
from mfr.benchmark.comparisons import Compared, Comparisons, compare_all
from mfr.benchmark.protocols import benchmark_domain, judge_domain
from mfr.benchmark.regions import fit_regions
from mfr.benchmark.thresholds import Setting, measure_settings, own_settings
from mfr.benchmark.verdicts import kept_promise, verdict
from mfr.benchmark.writing import write_report
from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.errors import DataError
from tests.benchmark.conftest import FakeEncoder, make_dataset

F = -np.inf


def calibration(*thresholds, condition="", against="", fmrs=(0.001, 0.01, 0.1)):
    return Calibration(
        condition=condition,
        against=against,
        thresholds=list(thresholds),
        fmrs=list(fmrs)[-len(thresholds) :],
        comparisons=100_000,
        people=50,
        source="toy (val)",
    )


def calibrated(calibrations, **options):
    encoder = FakeEncoder(**options)
    encoder.record = encoder.record.model_copy(update={"calibration": calibrations})
    return encoder


def comparisons(scores, first, second):
    rows = (np.array(one, np.int32) for one in (first, second))
    return Comparisons(np.array(scores, np.float32), *rows)


def compared(mated, nonmated):
    nobody = np.zeros(0, np.int32)
    return Compared(mated, nonmated, nobody, nobody.astype(bool))


def test_rates_at_a_threshold_by_hand():
    # Rows 0 and 1 show person 0, rows 2 and 3 person 1; one mated and one non-mated pair failed.
    persons = np.array([0, 0, 1, 1], np.int32)
    one = compared(
        comparisons([0.5, F], [0, 2], [1, 3]),
        comparisons([0.5, 0.4999, 0.9, F], [0, 0, 1, 1], [2, 3, 2, 3]),
    )
    setting = Setting("toys", True, 0.01, np.array([[0.5]]), np.zeros(4, np.intp))
    (fixed,) = measure_settings([setting], one, persons, seed=0, resamples=0)
    assert (fixed.fmr.value, fixed.fmr.errors) == (2 / 4, 2)  # a score at the threshold matches
    assert (fixed.fnmr.value, fixed.fnmr.errors) == (1 / 2, 1)  # what failed is refused
    assert (fixed.lowest, fixed.highest) == (0.5, 0.5)
    assert fixed.fmr.thin and fixed.fmr.interval is None


def test_each_comparison_is_judged_by_the_conditions_of_its_faces():
    # Faces of the first condition need 0.2, of the second 0.6, one with the other 0.4.
    table = np.array([[0.2, 0.4], [0.4, 0.6]])
    setting = Setting("toys", True, 0.01, table, np.array([0, 0, 1, 1]))
    one = comparisons([0.3, 0.3, 0.5, 0.5, 0.3], [0, 0, 2, 3, 2], [1, 2, 3, 0, 1])
    assert setting.accepts(one).tolist() == [True, False, False, True, False]


def test_resampled_rates_of_pairs_are_products_of_multiplicities():
    # Three people; p0 and p1 err, p0 and p2 and p1 and p2 do not.
    people = np.array([0, 0, 1]), np.array([1, 2, 2])
    weights = np.array([[1, 1, 1], [2, 1, 0], [0, 2, 1], [3, 0, 0]])
    shares = bootstrap.resample_pair_shares(np.array([[True, False, False]]), people, weights)
    assert shares[0, :3].tolist() == [1 / 3, 2 / 2, 0 / 2]
    assert np.isnan(shares[0, 3])  # one person alone is compared with nobody


def test_no_errors_get_the_rule_of_three_and_no_interval():
    persons = np.repeat(np.arange(20), 2).astype(np.int32)
    every = compare_all(np.eye(20, dtype=np.float32)[persons], persons)
    setting = Setting("toys", True, 0.01, np.array([[0.5]]), np.zeros(40, np.intp))
    (fixed,) = measure_settings([setting], every, persons, seed=0, resamples=50)
    assert fixed.fmr.value == 0 and fixed.fmr.interval is None
    assert f"below {3 / 760:.2g}" in fixed.fmr.interval_reason  # 780 pairs, 20 of them mated
    assert "too few people or errors" in kept_promise(fixed)


@pytest.mark.slow
def test_a_model_is_judged_at_the_thresholds_of_its_calibration(dataset):
    thresholds = (0.9, 0.6, 0.3)
    encoder = calibrated(Calibrations.of(calibration(*thresholds)))
    judged = judge_domain(encoder, dataset, "lfw", resamples=100)
    fixed = judged.report.fixed_thresholds
    assert [(one.wanted_fmr, one.lowest) for one in fixed] == [
        (0.1, 0.3),
        (0.01, 0.6),
        (0.001, 0.9),
    ]
    for one in fixed:
        mated, nonmated = judged.compared.mated.scores, judged.compared.nonmated.scores
        assert one.fmr.value == pytest.approx((nonmated >= one.lowest).mean())
        assert one.fnmr.value == pytest.approx((mated < one.lowest).mean())
    # Nine people have mated comparisons, which are too few for an interval; twelve have others.
    assert fixed[0].fnmr.interval is None and "here are 9" in fixed[0].fnmr.interval_reason
    low, high = fixed[0].fmr.interval
    assert low < fixed[0].fmr.value < high
    assert verdict(judged.report)[1].startswith("At its own threshold for an FMR of 0.1%")
    page = write_report(judged.report, dataset.root / "report")[1].read_text()
    assert "its own calibration on toy (val)" in page
    without = benchmark_domain(FakeEncoder(), dataset, "lfw", resamples=0)
    assert without.fixed_thresholds == []
    assert "no calibration" in verdict(without)[-1]


def test_conditions_follow_the_embeddings_as_decisions_do(dataset):
    plain = FakeEncoder()
    embeddings = judge_domain(plain, dataset, "lfw", resamples=0).embeddings
    regions = fit_regions([[embeddings[:15]], [embeddings[15:]]])
    measured = (
        calibration(0.8, 0.5, condition="a"),
        calibration(0.7, 0.4, condition="b"),
        calibration(0.6, 0.3, condition="a", against="b"),
    )
    calibrations = Calibrations(measured=measured, regions=regions)
    acquired = np.ones(len(dataset), bool)
    settings = own_settings(calibrated(calibrations), dataset, embeddings, acquired)
    assert [one.wanted_fmr for one in settings] == [0.1, 0.01]
    for fmr, setting in zip((0.1, 0.01), settings, strict=True):
        for i, j in ((0, 1), (0, 29), (29, 28), (7, 22)):
            basis = calibrations.basis([embeddings[i], embeddings[j]])
            place = setting.condition_of[i], setting.condition_of[j]
            assert setting.table[place] == basis.threshold_at(fmr)


def test_the_gap_of_a_threshold_set_on_another_domain(tmp_path):
    clear = make_dataset(tmp_path, {f"p{i:02d}": 4 for i in range(20)}, noise=30)
    rows = clear.column("path")
    domains = ["easy" if int(path[8:10]) < 12 else "lfw" for path in rows]
    data = clear.with_columns({"domain": domains})
    encoder = FakeEncoder()
    judged = judge_domain(encoder, data, "lfw", resamples=0, gap_from=["easy"])
    (gap,) = judged.report.fixed_thresholds
    source = judge_domain(encoder, data, "easy", protocol="all-pairs", resamples=0)
    # The threshold is that of the source, where one in a thousand of its pairs is a false match.
    assert gap.lowest == source.report.metric("tar@fmr=0.001").threshold
    assert gap.fmr.value == pytest.approx((judged.compared.nonmated.scores >= gap.lowest).mean())
    assert not gap.own and "easy (test)" in gap.set_on
    few = data.with_columns({"domain": ["lfw" if int(p[8:10]) > 2 else "easy" for p in rows]})
    with pytest.raises(DataError, match="too few to set a threshold"):
        benchmark_domain(encoder, few, "lfw", gap_from=["easy"])


def test_failures_to_acquire_are_a_result_with_an_interval(dataset, encoder):
    crops, alignments = dataset.column("crop"), dataset.column("alignment")
    for row in (2, 3, 29):
        crops[row], alignments[row] = None, "missed"
    rows = dataset.with_columns({"crop": crops, "alignment": alignments})
    fta = benchmark_domain(encoder, rows, "lfw", resamples=200).metric("fta")
    assert (fta.value, fta.errors) == (3 / 30, 3)
    assert fta.interval[0] < 0.1 < fta.interval[1]
    whole = benchmark_domain(encoder, dataset, "lfw", resamples=200).metric("fta")
    assert whole.value == 0 and "rule of three" in whole.interval_reason


@pytest.mark.slow
def test_rates_that_rest_on_few_errors_are_marked(tmp_path, encoder):
    data = make_dataset(tmp_path, {f"p{i:02d}": 3 for i in range(40)}, noise=60)
    report = benchmark_domain(encoder, data, "lfw", resamples=0)
    assert report.counts.nonmated == 80 * 39
    hundredth, thousandth = (report.metric(f"tar@fmr={fmr}") for fmr in (0.01, 0.001))
    assert (hundredth.errors, hundredth.thin) == (31, False)
    assert (thousandth.errors, thousandth.thin) == (3, True)
    assert report.metric("tar@fmr=0.0001").value is None  # refused: it cannot be told at all
    page = write_report(report, tmp_path / "report")[1].read_text()
    assert page.count("†") >= 2
