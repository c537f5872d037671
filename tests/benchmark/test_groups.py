"""Groups of people at one threshold, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mfr.benchmark.comparisons import compare_all
from mfr.benchmark.groups import Grouping, measure_groups, read_groups
from mfr.benchmark.protocols import benchmark_domain
from mfr.benchmark.thresholds import Setting
from mfr.benchmark.verdicts import told_differential
from mfr.benchmark.writing import write_report
from mfr.errors import ConfigError, DataError
from tests.benchmark.conftest import make_dataset
from tests.benchmark.test_thresholds import compared, comparisons

AT = Setting("toys", True, 0.001, np.array([[0.5]]), np.zeros(12, np.intp))


def test_rates_by_hand():
    # Six people with two images each; 0, 1 and 2 are of a, 3 and 4 of b, and 5 has no group.
    persons = np.repeat(np.arange(6), 2).astype(np.int32)
    names = [f"p{person}" for person in persons]
    grouping = Grouping("sex", {"p0": "a", "p1": "a", "p2": "a", "p3": "b", "p4": "b", "x": "c"})
    one = compared(
        comparisons([0.9, 0.4, 0.9, 0.4, 0.4, 0.1], [0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]),
        # Within a one of two matches; within b both; a with b and with p5 do not count.
        comparisons([0.6, 0.1, 0.5, 0.7, 0.9, 0.9], [0, 2, 6, 7, 0, 0], [2, 4, 8, 8, 6, 10]),
    )
    found = measure_groups(grouping, AT, one, persons, names, seed=0, resamples=0)
    a, b = found.groups
    assert (a.name, a.people, a.fmr.value, a.fnmr.value) == ("a", 3, 1 / 2, 1 / 3)
    assert (b.name, b.people, b.fmr.value, b.fnmr.value) == ("b", 2, 1, 1)
    fmr, fnmr = found.differentials
    assert (fmr.worst, fmr.best, fmr.ratio, fmr.interval) == ("b", "a", 2, None)
    assert (fnmr.worst, fnmr.ratio) == ("b", pytest.approx(3))
    assert found.without == 1


def test_groups_that_are_alike_have_an_interval_about_one_and_others_do_not():
    generator = np.random.default_rng(0)
    persons = np.repeat(np.arange(120), 3).astype(np.int32)
    centres = generator.normal(size=(120, 16))
    noise = np.where(persons % 3 == 0, 1.6, 0.7)[:, None]
    rows = centres[persons] + noise * generator.normal(size=(len(persons), 16))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    every = compare_all(rows, persons)
    setting = Setting("toys", True, 0.001, np.array([[0.5]]), np.zeros(len(persons), np.intp))
    names = [str(person) for person in persons]

    def fnmr(groups):
        grouping = Grouping("g", {str(person): groups[person % 3] for person in range(120)})
        found = measure_groups(grouping, setting, every, persons, names, seed=0, resamples=300)
        return found.differentials[1]

    unlike, alike = fnmr(["hard", "easy", "easy"]), fnmr(["hard", "x", "y"])
    assert unlike.worst == "hard" and unlike.interval[0] > 1.5
    assert alike.interval[0] < alike.ratio < alike.interval[1]
    assert "times the rate of easy (" in told_differential(unlike)
    # The two easy halves differ by chance only.
    grouping = Grouping("g", {str(p): str(p // 3 % 2) for p in range(120) if p % 3})
    found = measure_groups(grouping, setting, every, persons, names, seed=0, resamples=300)
    low, high = found.differentials[1].interval
    assert low < 1 < high and found.without == 40


def test_groups_are_read_from_a_file_or_a_column(tmp_path):
    data = make_dataset(tmp_path, {"ada": 2, "bob": 2}, noise=1)
    file = tmp_path / "sex.csv"
    file.write_text("person,group\nada,f\nbob,m\nada,f\ncy,m\n")
    found = read_groups(str(file), data)
    assert (found.attribute, found.of_person) == ("sex", {"ada": "f", "bob": "m", "cy": "m"})
    by_column = data.with_columns({"source": ["x", "x", "y", "y"]})
    assert read_groups("source", by_column).of_person == {"ada": "x", "bob": "y"}
    with pytest.raises(ConfigError, match="no column 'height'"):
        read_groups("height", data)
    with pytest.raises(DataError, match="ada is of the groups f and m"):
        file.write_text("person,group\nada,f\nada,m\n")
        read_groups(str(file), data)
    with pytest.raises(DataError, match="check the names"):
        file.write_text("person,group\nzoe,f\n")
        read_groups(str(file), data)
    with pytest.raises(DataError, match="group"):
        file.write_text("name,sex\nada,f\n")
        read_groups(str(file), data)


@pytest.mark.slow
def test_a_report_with_groups(tmp_path, encoder):
    data = make_dataset(tmp_path, {f"p{i:02d}": 4 for i in range(24)}, noise=90)
    people = sorted(set(data.column("person")))
    grouping = Grouping("half", {name: "ab"[int(name[1:]) % 2] for name in people})
    report = benchmark_domain(encoder, data, "lfw", resamples=50, groups=grouping)
    assert [(one.name, one.people) for one in report.groups.groups] == [("a", 12), ("b", 12)]
    assert "all comparisons here" in report.groups.threshold_told
    page = write_report(report, tmp_path / "report")[1].read_text()
    assert "Groups by half" in page and "ISO/IEC 19795-10" in page
    with pytest.raises(DataError, match=r"1 group\(s\)"):
        benchmark_domain(encoder, data, "lfw", groups=Grouping("one", {"p01": "a"}))
