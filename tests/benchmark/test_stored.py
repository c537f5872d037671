import statistics
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from mfr.benchmark.page import bounds
from mfr.benchmark.stored import benchmark_lfw, benchmark_protocol
from mfr.benchmark.writing import write_report
from mfr.data.loading import load_crops
from mfr.data.pair_list import pair_protocol, read_pair_list
from mfr.data.protocol import GalleryProbeProtocol, PairProtocol
from mfr.errors import DataError
from tests.benchmark.conftest import FakeEncoder, make_dataset
from tests.data.test_pair_list import pairs_text


@pytest.fixture
def lfw(tmp_path):
    """Twenty people, a list of ten folds with one pair of each kind, and their manifest."""
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(pairs_text()))
    people = {f"{name}_{fold}": 3 for fold in range(10) for name in ("Ada", "Bob")}
    return make_dataset(tmp_path, people, noise=3, split=None), path


def test_lfw_ten_folds(lfw, encoder):
    data, path = lfw
    report = benchmark_lfw(encoder, data, path, resamples=50)
    accuracy = report.metric("accuracy")
    assert (accuracy.value, accuracy.standard_error) == (1.0, 0.0)
    assert (report.counts.mated, report.counts.nonmated, report.counts.people) == (10, 10, 20)
    assert report.metric("tar@fmr=0.01").value is None
    assert report.split is None


def test_lfw_reports_every_training_on_it(lfw):
    data, path = lfw
    report = benchmark_lfw(FakeEncoder(sources=["lfw"], seen=None), data, path, resamples=5)
    assert "not unseen" in report.warnings[0]


def test_lfw_missing_images_are_named(lfw, encoder):
    data, path = lfw
    keep = [name != "Ada_3" for name in data.column("identity")]
    with pytest.raises(DataError, match=r"lacks 2 of the 30 images .*Ada_3_0001, Ada_3_0002"):
        benchmark_lfw(encoder, replace(data, table=data.table.filter(pa.array(keep))), path)


def lacking(data, state):
    crops, alignments = data.column("crop"), data.column("alignment")
    crops[0], alignments[0] = None, state
    return data.with_columns({"crop": crops, "alignment": alignments})


def test_pairs_with_an_image_without_a_face_are_non_matches(lfw, encoder):
    data, path = lfw
    report = benchmark_lfw(encoder, lacking(data, "missed"), path, resamples=50)
    counts = report.counts
    assert (counts.failed, counts.failed_mated, counts.failed_nonmated) == (1, 1, 1)
    assert (counts.mated, counts.nonmated, counts.images) == (10, 10, 30)
    # Its mated pair is refused at every threshold, its non-mated pair rightly so.
    assert report.metric("accuracy").value == pytest.approx(0.95)
    assert report.metric("auc").value == pytest.approx(0.9)
    assert report.metric("eer").value == pytest.approx(0.1)
    assert max(report.roc.tar) == pytest.approx(0.9) and max(report.roc.fmr) == pytest.approx(0.9)
    assert sum(report.histogram.mated) == 9
    # All nine mated pairs that took place are above the ten others, of which one may be a match.
    assert [m.kind for m in report.mistakes] == ["nonmated"]
    assert not any("Ada_0_0001" in m.paths[0] for m in report.mistakes)
    (warning,) = report.warnings
    assert "1 of 10 mated and 1 of 10 non-mated" in warning and "--on-miss resize" in warning
    write_report(report, data.root / "report")


def test_pairs_with_an_image_not_aligned_yet_are_refused(lfw, encoder):
    data, path = lfw
    with pytest.raises(DataError, match=r"1 of the 30 .*not been aligned yet .*Ada_0_0001"):
        benchmark_lfw(encoder, lacking(data, "pending"), path)


def test_one_fold_has_no_accuracy_and_says_why(lfw, encoder):
    data, path = lfw
    rows = [(0, *row) for row in zip(*pair_columns(data, path), strict=True)]
    protocol = PairProtocol.of("mfr2", rows, domain="lfw", source="mfr2 pairs.txt")
    report = benchmark_protocol(encoder, data, protocol, resamples=5)
    assert report.metric("accuracy").value is None
    assert "has one fold" in report.metric("accuracy").reason
    assert (report.title, report.protocol) == ("fake on mfr2", "mfr2")
    ten = benchmark_lfw(encoder, data, path, resamples=5)
    assert report.metrics[1:] == ten.metrics[1:]


def pair_columns(data, path):
    protocol = pair_protocol(read_pair_list(path), data, name="x", domain="lfw", source="")
    return [protocol.column(name) for name in ("first", "second", "mated")]


@pytest.fixture
def searches(tmp_path):
    """Six people of three images; in every fold a gallery, probes, and a probe without a mate."""
    data = make_dataset(tmp_path, {f"p{i}": 3 for i in range(6)}, noise=80, split=None)
    paths = np.array(data.column("path")).reshape(6, 3)
    rows = []
    for fold in range(3):
        rows += [(fold, "gallery", path) for path in paths[:5, fold]]
        rows += [(fold, "probe", path) for path in np.delete(paths[:5], fold, axis=1).ravel()]
        rows.append((fold, "probe", paths[5, 0]))
    return data, GalleryProbeProtocol.of("search", rows, domain="two", source="test lists")


@pytest.mark.slow
def test_searches_agree_with_a_plain_computation_in_every_fold(searches, encoder):
    data, protocol = searches
    report = benchmark_protocol(encoder, data, protocol, resamples=20)
    person = dict(zip(data.column("path"), data.column("person"), strict=True))
    vectors = dict(zip(data.column("path"), encoder.embed(load_crops(data)), strict=True))
    areas, ranks = [], []
    for fold in range(3):
        gallery, probes = (
            [path for f, r, path in rows_of(protocol) if f == fold and r == role]
            for role in ("gallery", "probe")
        )
        scores = [[float(vectors[p] @ vectors[g]) for g in gallery] for p in probes]
        same = np.array([[person[p] == person[g] for g in gallery] for p in probes])
        areas.append(roc_auc_score(same.ravel(), np.ravel(scores)))
        best = [gallery[int(np.argmax(row))] for row in scores]
        hits = [person[b] == person[p] for b, p in zip(best, probes, strict=True)][:-1]
        ranks.append(np.mean(hits))
    for key, values in (("auc", areas), ("rank1", ranks)):
        metric = report.metric(key)
        assert metric.folds == pytest.approx(values)
        assert metric.value == pytest.approx(np.mean(values))
        assert metric.deviation == pytest.approx(statistics.stdev(values))
        assert metric.interval is None
    # 5 in the gallery, 11 probes of which 10 have a mate; curves and counts are of one fold.
    counts = report.counts
    assert (counts.images, counts.probes, counts.mated, counts.nonmated) == (16, 10, 10, 45)
    assert "over 3 folds" in bounds(report.metric("auc"))
    write_report(report, data.root / "report")


@pytest.mark.usefixtures("any_number_of_people")
def test_one_search_has_bootstrap_intervals(searches, encoder):
    data, protocol = searches
    first = [row for row in rows_of(protocol) if row[0] == 0]
    single = GalleryProbeProtocol.of("one", first, domain="two", source="test lists")
    report = benchmark_protocol(encoder, data, single, resamples=20)
    assert report.metric("rank1").interval is not None and report.metric("rank1").folds is None
    assert report.metric("rank1").value == pytest.approx(
        benchmark_protocol(encoder, data, protocol, resamples=0).metric("rank1").folds[0]
    )


def rows_of(protocol):
    return list(zip(*(protocol.column(name) for name in protocol.SCHEMA.names), strict=True))


def test_a_probe_without_a_face_is_a_miss(searches, encoder):
    data, protocol = searches
    single = [(0, *row[1:]) for row in rows_of(protocol) if row[0] == 1]
    protocol = GalleryProbeProtocol.of("one", single, domain="two", source="test lists")
    whole = benchmark_protocol(encoder, data, protocol, resamples=20)
    report = benchmark_protocol(encoder, lacking(data, "missed"), protocol, resamples=20)
    counts = report.counts
    assert (counts.failed, counts.failed_mated, counts.failed_nonmated) == (1, 1, 4)
    assert (counts.mated, counts.nonmated) == (whole.counts.mated, whole.counts.nonmated)
    assert report.metric("rank1").value <= whole.metric("rank1").value
    assert max(report.roc.tar) == pytest.approx(0.9)


def test_every_image_of_a_protocol_is_in_the_manifest_and_examined(searches, encoder):
    data, protocol = searches
    with pytest.raises(DataError, match=r"1 of the 16 images .* not been aligned yet"):
        benchmark_protocol(encoder, lacking(data, "pending"), protocol)
    lacking_one = replace(data, table=data.table.slice(1))
    with pytest.raises(DataError, match="the manifest lacks"):
        benchmark_protocol(encoder, lacking_one, protocol)
