import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from data_tools.quickstart.repeats import METRICS, measure
from mfr.backbones import build_backbone
from mfr.benchmark.paired import compare_encoders
from mfr.benchmark.protocols import benchmark_domain
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder

OPTIONS = {"seed": 3, "resamples": 40}


def network(seed: int) -> Encoder:
    torch.manual_seed(seed)
    return Encoder.from_network(build_backbone("smallfacenet"), "smallfacenet")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """14 people, three images each, so unlike one another that no network tells all apart."""
    root = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    rows = []
    for number in range(14):
        usual = generator.normal(128, 40, (4, 4, 3))
        for image in range(3):
            coarse = usual + generator.normal(0, 40, usual.shape)
            crop = f"{number}-{image}.png"
            pixels = np.kron(coarse, np.ones((28, 28, 1))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / crop)
            rows.append(
                {
                    **{"path": crop, "crop": crop, "alignment": "given", "split": "test"},
                    **dict.fromkeys(("identity", "person"), f"p{number}"),
                    "domain": "d",
                }
            )
    return Manifest.empty(root).append(rows)


@pytest.fixture(scope="module")
def encoders():
    return [network(seed) for seed in range(3)]


def test_one_network_has_the_figures_of_its_benchmark(manifest, encoders):
    report = benchmark_domain(encoders[0], manifest, "d", **OPTIONS)
    found = measure(encoders[:1], manifest, "d", **OPTIONS).estimates()
    for key in METRICS:
        metric = report.metric(key)
        assert found[key].value == pytest.approx(metric.value)
        assert found[key].interval == pytest.approx(metric.interval)
    # 14 people and two probes of each are too few to tell an FMR of 0.1%.
    assert found["tar@fmr=0.001"].value is None and found["auc"].interval is not None
    assert 0.5 < found["auc"].value < 0.999


def test_a_method_is_the_mean_of_its_networks(manifest, encoders):
    found = measure(encoders, manifest, "d", **OPTIONS).estimates()["auc"]
    alone = [measure([one], manifest, "d", **OPTIONS).estimates()["auc"].value for one in encoders]
    assert found.of_seeds == pytest.approx(alone)
    assert found.value == pytest.approx(np.mean(alone))


def test_a_difference_of_single_networks_is_the_paired_one(manifest, encoders):
    first, second = (measure([one], manifest, "d", **OPTIONS) for one in encoders[:2])
    expected = {
        one.key: dataclasses.asdict(one)
        for one in compare_encoders(*encoders[:2], manifest, "d", **OPTIONS)
    }
    for one in first.less(second):
        assert one.value == pytest.approx(expected[one.key]["value"])
        assert one.interval == pytest.approx(expected[one.key]["interval"])


def test_an_interval_of_a_mean_is_not_the_mean_of_intervals(manifest, encoders):
    # Networks that err on different people: their mean varies less than each of them.
    whole = measure(encoders, manifest, "d", **OPTIONS)
    widths = [
        np.ptp(measure([one], manifest, "d", **OPTIONS).estimates()["auc"].interval)
        for one in encoders
    ]
    assert np.ptp(whole.estimates()["auc"].interval) < np.mean(widths)
    assert {one.value for one in whole.less(whole)} == {0.0}
    assert {one.interval for one in whole.less(whole)} == {(0.0, 0.0)}
