"""Templates of several images against means taken by hand."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mfr.benchmark.protocols import judge_domain
from mfr.benchmark.templates import make_templates
from mfr.data.loading import load_crops
from tests.benchmark.conftest import FakeEncoder, make_dataset


def test_halves_are_averaged_and_failures_left_out(tmp_path):
    data = make_dataset(tmp_path, {"ada": 5, "bob": 1, "cy": 2}, noise=1)
    angles = np.linspace(0, 1, 8)
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    acquired = np.ones(8, bool)
    acquired[5] = False  # bob's only image
    order = sorted(
        range(5), key=lambda i: hashlib.sha256(f"3:{data.column('path')[i]}".encode()).hexdigest()
    )
    acquired[order[0]] = False
    found = make_templates(data, embeddings, acquired, seed=3)
    assert found.sizes.tolist() == [2, 2, 0, 1, 1]
    assert found.acquired.tolist() == [True, True, False, True, True]
    mean = embeddings[order[1:3]].mean(axis=0)
    np.testing.assert_allclose(found.embeddings[0], mean / np.linalg.norm(mean), rtol=1e-6)
    assert found.first[0] == order[1]  # the first that has a crop
    assert not found.embeddings[2].any()


@pytest.mark.usefixtures("any_number_of_people")
def test_templates_beat_single_images(tmp_path):
    data = make_dataset(tmp_path, {f"p{i:02d}": 6 for i in range(30)} | {"single": 1}, noise=110)
    encoder = FakeEncoder()
    single = judge_domain(encoder, data, "lfw", resamples=0)
    judged = judge_domain(encoder, data, "lfw", protocol="templates", resamples=20)
    counts = judged.report.counts
    assert (counts.people, counts.images, counts.mated, counts.nonmated) == (31, 181, 30, 30 * 30)
    assert (counts.probes, counts.distractors) == (30, 1)
    assert judged.report.metric("auc").value > single.report.metric("auc").value
    vectors = encoder.embed(load_crops(data))
    means = [vectors[6 * i : 6 * i + 6].mean(axis=0) for i in range(30)]
    assert judged.embeddings.shape == (61, 64) and np.isfinite(means).all()
    assert "halved" in " ".join(judged.report.description)
