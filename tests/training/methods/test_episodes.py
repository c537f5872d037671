"""The weights of an episode's losses."""

import pytest
import torch
from torch import nn

from mfr.config import make_run_config
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.data.sampling import IdentityPool
from mfr.geometry import CropGeometry
from mfr.meta.functional import parameters_of
from mfr.training.methods.building import build_method
from mfr.training.methods.network import FaceNetwork
from tests.datasets import write_dataset


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    write_dataset(root, {"a": 6, "b": 6}, images=2)
    return root


def losses(root, **values):
    """L_S and L_T of the first episode at the first step."""
    config = make_run_config({"data": root, "sources": ["a", "b"], "identities": 4, **values})
    people = Manifest.read(root).where(splits=["train"], cropped=True)
    pool = IdentityPool(people, config.sources)
    method = build_method(config, pool, CropStore(people, 2**30))
    torch.manual_seed(0)
    layers = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(3 * 49, 8))
    network = FaceNetwork(layers, CropGeometry(height=112, width=112))
    method.attach(network)
    (task, _) = method.tasks(network, method.prepare(0), 0)
    params = parameters_of(network)
    assert task.query is not None
    return task.support(params), task.query(params)


def test_hard_pairs_have_a_weight_and_are_left_out_at_none(root):
    whole, halved = losses(root), losses(root, hard_pair_weight=0.5)
    for one, other in zip(whole, halved, strict=True):
        assert float(one["hard_pair"]) != 0
        assert float(other["hard_pair"]) == float(one["hard_pair"]) / 2
        assert torch.equal(other["classification"], one["classification"])
    support, query = losses(root, hard_pair_weight=0.0)
    assert list(support) == ["classification", "alignment"]
    assert list(query) == ["classification"]
