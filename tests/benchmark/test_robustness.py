"""Robustness curves and attacks, with networks whose answers are known."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mfr.benchmark.attacks import AttackReport, measure_attacks
from mfr.benchmark.curves_page import attacks_verdict, robustness_verdict
from mfr.benchmark.ladders import LADDERS
from mfr.benchmark.protocols import judge_domain
from mfr.benchmark.report import Metric
from mfr.benchmark.robustness import RobustnessReport, measure_robustness
from mfr.benchmark.writing import write_attacks, write_robustness
from mfr.data.loading import load_crops
from mfr.encoder import Encoder
from mfr.errors import ConfigError, DataError
from tests.benchmark.conftest import FakeEncoder, make_dataset
from tests.benchmark.test_report import Page


class Linear(FakeEncoder):
    """The fake encoder with gradients."""

    def embed_pixels(self, pixels):
        blocks = pixels.reshape(-1, 8, 14, 8, 14, 3).mean(dim=(2, 4)).reshape(len(pixels), -1)
        vectors = (blocks - 127.5) @ torch.from_numpy(self.projection).float()
        return nn.functional.normalize(vectors)


@pytest.fixture
def data(tmp_path):
    return make_dataset(tmp_path, {f"p{i:02d}": 3 for i in range(16)}, noise=40)


@pytest.mark.slow
def test_curves_begin_where_the_benchmark_is_and_fall(data, tmp_path):
    report = measure_robustness(
        {"a": FakeEncoder()}, data, "lfw", faults=["occlusion", "blur"], resamples=20
    )
    judged = judge_domain(FakeEncoder(), data, "lfw", resamples=0)
    for fault in ("occlusion", "blur"):
        rungs = report.curves[fault]["a"]
        assert [rung.strength for rung in rungs] == list(LADDERS[fault].strengths)
        assert rungs[0].metrics[0].value == judged.report.metric("tar@fmr=0.01").value
        # The clean threshold gives the FMR that it was set for, on the clean comparisons.
        assert rungs[0].clean.fmr.value <= max(0.001, 1 / judged.report.counts.nonmated)
        assert rungs[-1].clean.lowest == rungs[0].clean.lowest
    occlusion = report.curves["occlusion"]["a"]
    assert occlusion[-1].clean.fnmr.value > occlusion[0].clean.fnmr.value
    assert (report.people, report.probes) == (16, 32)
    path, page = write_robustness(report, tmp_path / "out")
    assert RobustnessReport.model_validate(json.loads(path.read_text())) == report
    assert Page(page.read_text()).open == []
    assert len(robustness_verdict(report)) == 2
    few = measure_robustness(
        {"a": FakeEncoder()}, data, "lfw", faults=["blur"], people=5, resamples=2
    )
    assert few.people == 5
    first, second = robustness_verdict(few)
    assert first.startswith("An interval needs at least 10 people") and "here are 5." in first
    assert "refuses" not in second


@pytest.mark.parametrize(
    ("clean", "strong", "does", "limit", "more"),
    [
        (0.0, 0.06, "refuses", "5.00%", "5 points more than"),
        (0.0, 0.04, "never refuses", "5.00%", "5 points more than"),
        (0.02, 0.06, "never refuses", "7.00%", "5 points more than"),
        (0.2, 0.41, "refuses", "40.00%", "twice as many as"),
        (0.2, 0.39, "never refuses", "40.00%", "twice as many as"),
    ],
)
def test_a_verdict_names_the_rate_it_is_about(clean, strong, does, limit, more):
    def rung(strength, fnmr):
        rate = Metric(key="fnmr", name="FNMR", rule="", value=fnmr)
        return SimpleNamespace(strength=strength, clean=SimpleNamespace(fnmr=rate))

    report = SimpleNamespace(
        interval_reason=None, curves={"mask": {"a": [rung(0, clean), rung(1, strong)]}}
    )
    (sentence,) = robustness_verdict(report)
    since = ", from 1 on" if does == "refuses" else ""
    told = f": a {does} more than {limit} of rightful people, {more} on clean probes{since}; FNMR"
    assert told in sentence


@pytest.mark.slow
def test_masks_need_faces(data):
    alignments = ["resized"] * len(data)
    faceless = data.with_columns({"alignment": alignments})
    with pytest.raises(DataError, match="nowhere to draw a mask"):
        measure_robustness({"a": FakeEncoder()}, faceless, "lfw", resamples=0)
    crops = data.column("crop")
    crops[0], alignments[:2], alignments[3:] = None, ["missed", "resized"], ["detected"] * 45
    some = data.with_columns({"alignment": alignments, "crop": crops})
    report = measure_robustness(
        {"a": FakeEncoder()}, some, "lfw", faults=["mask"], people=2, resamples=0
    )
    assert report.warnings[0] == "1 of 6 images have no crop and are left out."
    assert report.warnings[1].startswith("In 2 of 5 images no face was found")
    assert "a mask lies where" in report.warnings[2]


def test_unknown_faults_are_refused(data):
    with pytest.raises(ConfigError, match="no fault 'rain'"):
        measure_robustness({"a": FakeEncoder()}, data, "lfw", faults=["rain"])
    with pytest.raises(ConfigError, match="1 to 255"):
        measure_attacks({"a": Linear()}, data, "lfw", epsilons=[0])


@pytest.mark.slow
def test_attacks_succeed_the_more_they_may_change(data, tmp_path):
    report = measure_attacks({"a": Linear()}, data, "lfw", epsilons=[1, 40], pairs=8, resamples=20)
    assert set(report.curves) == {
        f"{kind}, {goal}" for kind in ("FGSM", "PGD") for goal in ("dodging", "impersonation")
    }
    for rates in report.curves.values():
        weak, strong = (one.success.value for one in rates["a"])
        assert strong > weak or strong == 1
    assert "all comparisons here" in report.thresholds["a"]
    path, page = write_attacks(report, tmp_path / "out")
    assert AttackReport.model_validate(json.loads(path.read_text())) == report
    assert Page(page.read_text()).open == []
    assert len(attacks_verdict(report)) == 4
    assert all("at eps 1, " in one and "at eps 40." in one for one in attacks_verdict(report))
    curves = {
        kind: {name: rates[:1] for name, rates in models.items()}
        for kind, models in report.curves.items()
    }
    weak = report.model_copy(update={"curves": curves})
    assert all(one.endswith("% succeed at eps 1.") for one in attacks_verdict(weak))
    again = measure_attacks({"a": Linear()}, data, "lfw", epsilons=[1, 40], pairs=8, resamples=20)
    assert again.curves == report.curves


def test_nothing_to_attack(tmp_path):
    # Everybody looks the same, so that no comparison of two people is below the threshold.
    data = make_dataset(tmp_path, {f"p{i}": 2 for i in range(3)}, noise=0)
    crop = load_crops(data)[0]
    for path in data.crop_paths():
        Image.fromarray(crop).save(path)
    with pytest.raises(DataError, match="judges no comparison"):
        measure_attacks({"a": Linear()}, data, "lfw", epsilons=[1])


@pytest.mark.parametrize("fusion", [False, True])
def test_pixels_are_embedded_as_crops_are_and_with_gradients(fusion):
    from mfr.backbones import build_backbone
    from mfr.runtimes.torch import TorchRuntime

    torch.manual_seed(0)
    both = Encoder.from_network(build_backbone("smallfacenet"), "smallfacenet")
    record = both.record.model_copy(update={"flip_fusion": fusion})
    encoder = Encoder(
        record, both.network, None, TorchRuntime(both.network, size=record.geometry.size)
    )
    crops = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    pixels = torch.from_numpy(crops).float().requires_grad_()
    found = encoder.embed_pixels(pixels)
    np.testing.assert_allclose(found.detach(), encoder.embed(crops), atol=1e-5)
    (found[0] @ found[1]).backward()
    assert pixels.grad[0].abs().sum() > 0 and pixels.grad[2].abs().sum() == 0
