"""People whom a model has seen are measured on only where that is asked for, and told first."""

import json

import numpy as np
import pytest
import torch

from mfr.backbones import build_backbone
from mfr.benchmark.calibration import calibrate_encoder
from mfr.benchmark.paired import compare_encoders
from mfr.benchmark.protocols import benchmark_domain
from mfr.benchmark.report import Report
from mfr.benchmark.stored import benchmark_lfw
from mfr.benchmark.writing import write_report
from mfr.data.used import read_used
from mfr.encoder import Encoder
from mfr.errors import DataError
from mfr.seen_people import SeenPeople
from tests.benchmark.conftest import NOBODY, FakeEncoder, make_dataset

# Of the 12 people of the fixture, two were trained on and another was calibrated on.
SEEN = NOBODY.adding("trained", ["p00", "p01", "elsewhere"]).adding("calibrated", ["p03"])
FACT = "3 of the 12 people of domain lfw, split test (2 trained on, 1 calibrated on)"


def test_a_benchmark_on_seen_people_is_refused_in_a_sentence(dataset):
    with pytest.raises(DataError) as told:
        benchmark_domain(FakeEncoder(seen=SEEN), dataset, "lfw")
    assert f"This model has seen {FACT}" in str(told.value)
    assert "--allow-seen" in str(told.value)
    with pytest.raises(DataError, match="3 of the 12 people"):
        compare_encoders(FakeEncoder(), FakeEncoder(seen=SEEN), dataset, "lfw")


def test_where_allowed_it_is_told_in_the_first_line(dataset, tmp_path):
    report = benchmark_domain(FakeEncoder(seen=SEEN), dataset, "lfw", resamples=5, allow_seen=True)
    assert report.seen is not None and FACT in report.seen
    data, page = write_report(report, tmp_path / "report")
    assert list(json.loads(data.read_text()))[:3] == ["format", "version", "seen"]
    html = page.read_text()
    assert html.index(FACT) < html.index("<h1>")
    # The hashes themselves are in the model file only.
    assert Report.read(tmp_path / "report").model.seen is None
    unseen = benchmark_domain(FakeEncoder(seen=NOBODY), dataset, "lfw", resamples=5)
    assert (unseen.seen, unseen.warnings) == (None, [])
    assert unseen.metrics == report.metrics


def test_a_models_unknown_past_is_told(dataset):
    unknown = benchmark_domain(FakeEncoder(seen=None), dataset, "lfw", resamples=5)
    assert "not known whether it has seen these people" in unknown.warnings[0]
    begun = SeenPeople.nobody("a", complete=False).adding("trained", ["elsewhere"])
    report = benchmark_domain(FakeEncoder(seen=begun), dataset, "lfw", resamples=5)
    assert "The weights this model came from do not say" in report.warnings[0]


def test_a_list_of_pairs_is_about_people_too(dataset, tmp_path):
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("1\t1\np02\t1\t2\np00\t1\tp03\t1\n")
    with pytest.raises(DataError, match=r"2 of the 3 people of protocol lfw"):
        benchmark_lfw(FakeEncoder(seen=SEEN), dataset, pairs)
    report = benchmark_lfw(FakeEncoder(seen=SEEN), dataset, pairs, resamples=0, allow_seen=True)
    assert report.seen is not None and report.seen.startswith("This model has seen 2 of the 3")


def test_people_trained_on_do_not_calibrate_but_validation_people_do(tmp_path):
    data = make_dataset(tmp_path, {f"p{i:02d}": 4 for i in range(12)}, noise=20, split="val")
    validated = NOBODY.adding("validated", [f"p{i:02d}" for i in range(12)])
    made = calibrate_encoder(FakeEncoder(seen=validated), data, conditions={"": ["lfw"]})
    assert made.seen is None and made.persons == [f"p{i:02d}" for i in range(12)]
    with pytest.raises(DataError, match=r"seen 2 of the 12 people of lfw \(val\) \(2 trained on\)"):
        calibrate_encoder(FakeEncoder(seen=SEEN), data, conditions={"": ["lfw"]})
    allowed = calibrate_encoder(
        FakeEncoder(seen=SEEN), data, conditions={"": ["lfw"]}, allow_seen=True
    )
    assert allowed.seen is not None
    assert "partly people it was trained on" in allowed.calibrations.usual.source
    assert allowed.calibrations.usual.thresholds == made.calibrations.usual.thresholds


@pytest.mark.slow
def test_a_calibrated_model_knows_its_people_and_a_new_calibration_replaces_them(tmp_path):
    data = make_dataset(tmp_path, {f"p{i:02d}": 4 for i in range(12)}, noise=20, split="val")
    torch.manual_seed(0)
    encoder = Encoder.from_network(build_backbone("smallfacenet").eval(), "smallfacenet")
    calibrated = calibrate_encoder(encoder, data, conditions={"": ["lfw"]}).applied_to(encoder)
    calibrated.save(tmp_path / "model.safetensors")
    seen = Encoder.load(tmp_path / "model.safetensors").record.seen
    assert seen is not None and not seen.complete
    assert seen.overlap(data.column("person")).roles == {"calibrated": 12}
    # The same on every machine and at every time.
    assert (
        seen
        == calibrate_encoder(encoder, data, conditions={"": ["lfw"]})
        .applied_to(encoder)
        .record.seen
    )
    judged = data.with_columns({"split": ["test"] * len(data)})
    with pytest.raises(DataError, match="12 calibrated on"):
        benchmark_domain(calibrated, judged, "lfw")
    others = data.with_columns({"person": [f"new {p}" for p in data.column("person")]})
    again = calibrate_encoder(calibrated, others, conditions={"": ["lfw"]}).applied_to(calibrated)
    assert again.record.seen is not None
    assert again.record.seen.overlap(data.column("person")).seen == 0
    assert again.model_hash == encoder.model_hash
    assert np.array_equal(
        again.embed(np.zeros((1, 112, 112, 3), np.uint8)),
        encoder.embed(np.zeros((1, 112, 112, 3), np.uint8)),
    )
    assert read_used(tmp_path) is None  # only the command notes that in the dataset
