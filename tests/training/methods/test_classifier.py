"""Classifiers to start from, and how aggregation gives them to the network."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from mfr.backbones import build_backbone
from mfr.config import make_run_config
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.data.sampling import IdentityPool
from mfr.geometry import CropGeometry
from mfr.training.methods.building import build_method
from mfr.training.methods.classifier import features_of, imprinted_rows, random_rows
from mfr.training.methods.network import FaceNetwork
from tests.datasets import write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    write_dataset(root, {"a": 5, "b": 5}, images=2)
    return root


@pytest.fixture
def people(dataset):
    return Manifest.read(dataset).where(splits=["train"], cropped=True)


def make_network():
    torch.manual_seed(0)
    network = build_backbone("smallfacenet", embedding_size=24)
    return FaceNetwork(network, CropGeometry(height=56, width=56)).train()


def test_imprinted_rows_are_the_classes_mean_features():
    features = normalize(torch.randn(5, 3))
    rows = imprinted_rows(features, np.array([1, 0, 1, 2, 1]))
    expected = [features[1], features[[0, 2, 4]].mean(0), features[3]]
    torch.testing.assert_close(rows, normalize(torch.stack(expected)))


def test_random_rows_are_on_the_sphere_and_the_seeds():
    rows = random_rows(6, 4, seed=1)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(6))
    assert torch.equal(rows, random_rows(6, 4, seed=1))
    assert not torch.equal(rows, random_rows(6, 4, seed=2))


def test_features_are_taken_by_running_statistics_and_change_nothing(people):
    network = make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    store = CropStore(people, 2**30)
    rows = np.arange(len(people))
    found = features_of(network, store, rows, batch_size=3)
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    network.eval()
    with torch.no_grad():
        expected = network(network.images(torch.from_numpy(store[rows])))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["agg", "agg-rnd"])
def test_aggregation_adds_a_trained_classifier(dataset, people, name):
    config = make_run_config({"data": dataset, "sources": ["a", "b"], "method": name, "seed": 4})
    pool, store = IdentityPool(people, config.sources), CropStore(people, 2**30)
    method, network = build_method(config, pool, store), make_network()
    assert network.classifier is None
    method.attach(network)
    assert isinstance(network.classifier, nn.Parameter)
    expected = {
        "agg": lambda: imprinted_rows(features_of(network, store, pool.rows), pool.labels),
        "agg-rnd": lambda: random_rows(pool.classes, 24, seed=4),
    }[name]()
    torch.testing.assert_close(network.classifier.data, expected)
    assert "classifier" in dict(network.named_parameters())
