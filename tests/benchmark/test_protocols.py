from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mfr.benchmark.metrics import Scores, auc
from mfr.benchmark.protocols import benchmark_domain
from mfr.benchmark.writing import write_report
from mfr.data.loading import load_crops
from mfr.errors import ConfigError, DataError, ModelError
from tests.benchmark.conftest import FakeEncoder, make_dataset


def timeless(report):
    return report.model_copy(update={"created": ""})


@pytest.mark.usefixtures("any_number_of_people")
def test_gallery_probe_counts(dataset, encoder):
    # Three people each with 1, 2, 3 and 4 images: 30 images, 12 in the gallery, 18 probes.
    report = benchmark_domain(encoder, dataset, "lfw", resamples=50, command="mfr benchmark ...")
    counts = report.counts
    assert (counts.people, counts.images, counts.probes, counts.distractors) == (12, 30, 18, 3)
    assert (counts.mated, counts.nonmated) == (18, 18 * 11)
    assert sum(report.histogram.mated) == 18
    assert sum(report.histogram.nonmated) == 198
    assert report.metric("tar@fmr=0.01").value is not None
    for key in ("tar@fmr=0.001", "tar@fmr=0.0001"):
        metric = report.metric(key)
        assert metric.value is None and metric.interval is None
        assert "198 non-mated comparisons cannot tell an FMR below 0.51%" in metric.reason
    for metric in report.metrics:
        if metric.value is not None and metric.key != "fta":
            low, high = metric.interval
            assert 0 <= low <= high <= 1
    assert report.command == "mfr benchmark ..."
    assert report.warnings == []


def test_all_pairs_agree_with_a_plain_computation(dataset, encoder):
    report = benchmark_domain(encoder, dataset, "lfw", protocol="all-pairs", resamples=10)
    embeddings = encoder.embed(load_crops(dataset))
    person = np.array(dataset.column("person"))
    i, j = np.triu_indices(len(person), 1)
    scores, same = (embeddings[i] * embeddings[j]).sum(axis=1), person[i] == person[j]
    assert report.counts.mated == same.sum()
    assert report.metric("auc").value == pytest.approx(auc(Scores.of(scores[same], scores[~same])))
    with pytest.raises(DataError, match="choose one of"):
        report.metric("rank1")
    # Of fewer than a thousand non-mated comparisons one false match is the lowest FMR there is.
    assert len(scores[~same]) < 1000
    worst = [m.score for m in report.mistakes if m.kind == "nonmated"]
    np.testing.assert_allclose(worst, scores[~same].max(), atol=1e-6)
    refused = np.sort(scores[same & (scores < report.mistakes_threshold)])
    worst = [m.score for m in report.mistakes if m.kind == "mated"]
    np.testing.assert_allclose(worst, refused[:8], atol=1e-6)


@pytest.mark.usefixtures("any_number_of_people")
@pytest.mark.parametrize("protocol", ["gallery-probe", "all-pairs"])
def test_report_does_not_depend_on_row_order_but_on_the_seed(dataset, encoder, protocol):
    order = np.random.default_rng(0).permutation(len(dataset))
    shuffled = replace(dataset, table=dataset.table.take(pa.array(order)))
    first, second, other = (
        benchmark_domain(encoder, data, "lfw", protocol=protocol, seed=seed, resamples=20)
        for data, seed in ((dataset, 0), (shuffled, 0), (dataset, 1))
    )
    assert timeless(first) == timeless(second)
    assert first.metrics != other.metrics


def test_perfect_encoder(tmp_path, encoder):
    data = make_dataset(tmp_path, {f"p{i}": 3 for i in range(15)}, noise=0)
    report = benchmark_domain(encoder, data, "lfw", resamples=50)
    expected = {"tar@fmr=0.01": 1, "auc": 1, "eer": 0, "rank1": 1}
    for key, value in expected.items():
        assert report.metric(key).value == value
        assert report.metric(key).interval == (value, value)


def test_chance_encoder(tmp_path, encoder):
    # Patterns drowned in noise of the same kind for everybody: scores tell nothing.
    data = make_dataset(tmp_path, {f"p{i}": 1 for i in range(120)}, noise=0)
    data = data.with_columns(
        {name: [f"q{i % 30}" for i in range(120)] for name in ("person", "identity")}
    )
    report = benchmark_domain(encoder, data, "lfw", protocol="all-pairs", resamples=200)
    low, high = report.metric("auc").interval
    assert low < 0.5 < high
    assert report.metric("eer").value == pytest.approx(0.5, abs=0.1)


def test_one_person_under_two_identities_is_mated(tmp_path, encoder):
    data = make_dataset(tmp_path, {"ada": 2, "ada2": 2, "bob": 2}, noise=20)
    data = data.with_columns({"person": ["ada"] * 4 + ["bob"] * 2})
    counts = benchmark_domain(encoder, data, "lfw", resamples=5).counts
    # Gallery: ada, ada2, bob. Each of ada's two probes meets both of her gallery images.
    assert (counts.people, counts.mated, counts.nonmated) == (2, 5, 4)


def test_images_without_crops_are_told_apart_and_told(dataset, encoder):
    crops, alignments = dataset.column("crop"), dataset.column("alignment")
    crops[-1], alignments[-1] = None, "missed"
    crops[-2], alignments[-2], alignments[0] = None, "pending", "resized"
    rows = dataset.with_columns({"crop": crops, "alignment": alignments})
    report = benchmark_domain(encoder, rows, "lfw", resamples=5)
    counts = report.counts
    assert (counts.left_out, counts.failed, counts.images) == (1, 1, 29)
    assert (counts.failed_mated, counts.failed_nonmated) == (1, 11)
    assert (counts.mated, counts.nonmated) == (17, 17 * 11)
    pending, failed, resized = report.warnings
    assert "1 of 30 images have not been aligned yet" in pending
    assert "1 of 29 images have no crop" in failed and "1 of 17 mated and 11 of 187" in failed
    assert "In 1 of 29" in resized
    # The gallery is chosen among what has a crop, so all other scores are as they were.
    without = replace(rows, table=rows.table.slice(0, len(rows) - 2))
    fewer = benchmark_domain(encoder, without, "lfw", resamples=5)
    assert report.metric("rank1").value == pytest.approx(
        fewer.metric("rank1").value * fewer.counts.probes / counts.probes
    )
    nothing = dataset.with_columns({"crop": [None] * 30, "alignment": ["missed"] * 30})
    with pytest.raises(DataError, match="has a crop: 30 were examined without finding a face"):
        benchmark_domain(encoder, nothing, "lfw")
    write_report(report, dataset.root / "report")
    assert "1 images without a crop" in (dataset.root / "report/report.html").read_text()


def test_a_domain_trained_on_is_called_so(dataset):
    seen = FakeEncoder(sources=["lfw"], seen=None)
    report = benchmark_domain(seen, dataset, "lfw", resamples=5)
    assert "no unseen domain" in report.warnings[0]
    assert "does not say whom it was trained on" in report.warnings[1]
    val = dataset.with_columns({"split": ["val"] * len(dataset)})
    report = benchmark_domain(seen, val, "lfw", split="val", resamples=5)
    assert "not unseen" in report.warnings[0]
    told = benchmark_domain(FakeEncoder(sources=["lfw"]), dataset, "lfw", resamples=5)
    assert told.warnings == [
        "The model was trained on domain lfw, though on none of these people: they are unseen, the "
        "domain is not."
    ]


def test_the_smallest_benchmark_there_is(tmp_path, encoder):
    data = make_dataset(tmp_path, {"ada": 2, "bob": 1}, noise=1)
    report = benchmark_domain(encoder, data, "lfw", resamples=20)
    assert (report.counts.mated, report.counts.nonmated) == (1, 1)
    assert (report.metric("auc").value, report.metric("tar@fmr=0.01").value) == (1.0, None)
    # An interval of 1.00000 to 1.00000 was printed.
    assert report.metric("auc").interval is None
    write_report(report, tmp_path / "report")


def test_without_resamples_there_are_no_intervals(dataset, encoder):
    report = benchmark_domain(encoder, dataset, "lfw", resamples=0)
    assert all(metric.interval is None for metric in report.metrics)
    assert report.roc.low is None


def test_what_cannot_be_benchmarked_is_refused(dataset, encoder, tmp_path):
    with pytest.raises(DataError, match="Unknown domain"):
        benchmark_domain(encoder, dataset, "mars")
    with pytest.raises(DataError, match="no images in split val"):
        benchmark_domain(encoder, dataset, "lfw", split="val")
    with pytest.raises(ConfigError, match="Unknown protocol"):
        benchmark_domain(encoder, dataset, "lfw", protocol="best")
    with pytest.raises(ConfigError, match="resamples"):
        benchmark_domain(encoder, dataset, "lfw", resamples=-1)
    one = make_dataset(tmp_path / "one", {"ada": 3}, noise=1)
    with pytest.raises(DataError, match="one person only"):
        benchmark_domain(encoder, one, "lfw")
    single = make_dataset(tmp_path / "single", {"ada": 1, "bob": 1}, noise=1)
    with pytest.raises(DataError, match="only one image"):
        benchmark_domain(encoder, single, "lfw")
    with pytest.raises(DataError, match="two images"):
        benchmark_domain(encoder, single, "lfw", protocol="all-pairs")
    bare = dataset.with_columns(
        {"crop": [None] * len(dataset), "alignment": ["pending"] * len(dataset)}
    )
    with pytest.raises(DataError, match="mfr data align"):
        benchmark_domain(encoder, bare, "lfw")


def test_embeddings_that_are_not_finite_are_refused(dataset, encoder):
    encoder.projection = encoder.projection * np.nan
    with pytest.raises(ModelError, match="no finite embedding"):
        benchmark_domain(encoder, dataset, "lfw")


def test_intervals_need_ten_people_with_mated_comparisons(tmp_path, encoder):
    # Nine people with two images, and three who are in the gallery only.
    images = {f"p{i:02d}": 1 + (i < 9) for i in range(12)}
    few = benchmark_domain(encoder, make_dataset(tmp_path / "few", images, noise=60), "lfw")
    for key in ("tar@fmr=0.01", "auc", "eer", "rank1"):
        metric = few.metric(key)
        if metric.value is not None:
            assert (metric.interval, metric.interval_method) == (None, None)
            assert "at least 10 people with mated comparisons, and here are 9" in (
                metric.interval_reason
            )
    assert few.roc.low is None
    _, page = write_report(few, tmp_path / "report")
    assert "here are 9" in page.read_text() and "too few people" in page.read_text()
    images["p09"] = 2
    enough = benchmark_domain(encoder, make_dataset(tmp_path / "ten", images, noise=60), "lfw")
    assert enough.metric("auc").interval is not None
    assert enough.metric("auc").interval_reason is None
    # Nobody asked for intervals, so there is no reason to give.
    images["p09"] = 1
    unasked = make_dataset(tmp_path / "unasked", images, noise=60)
    report = benchmark_domain(encoder, unasked, "lfw", resamples=0)
    assert report.metric("auc").interval_reason is None


def test_a_threshold_says_how_many_rightful_people_it_refuses(dataset, encoder, tmp_path):
    report = benchmark_domain(encoder, dataset, "lfw", resamples=0)
    metric = report.metric("tar@fmr=0.01")
    assert metric.fnmr == 1 - metric.value
    assert report.metric("auc").fnmr is None
    _, page = write_report(report, tmp_path / "report")
    assert f'<td class="number">{metric.fnmr:.2%}</td>' in page.read_text()
