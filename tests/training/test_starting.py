"""What a training is started with, and why it cannot be."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mfr.config import make_run_config
from mfr.errors import ConfigError, DataError
from mfr.training.starting import initial_network, training_people
from tests.datasets import write_dataset


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"alignment": "pending", "crop": None}, r"6 are not aligned yet, so run 'mfr data align'"),
        ({"alignment": "missed", "crop": None}, "6 were examined without finding a face"),
        ({"split": "test"}, "none of its people is on the training side, so split again"),
    ],
)
def test_a_domain_without_training_images_says_why(tmp_path, columns, words):
    manifest = write_dataset(tmp_path, {"a": 2, "b": 2}, splits=("train",))
    changed = {
        name: [
            value if domain == "b" else old
            for old, domain in zip(manifest.column(name), manifest.column("domain"), strict=True)
        ]
        for name, value in columns.items()
    }
    config = SimpleNamespace(data=str(tmp_path), sources=["a", "b"])
    with pytest.raises(DataError, match=rf"domain 'b' has no aligned training images: {words}"):
        training_people(manifest.with_columns(changed), config)


def configure(**values):
    return make_run_config(
        {"data": "d", "sources": ["a", "b"], "backbone": "smallfacenet", **values}
    )


def test_what_is_frozen_is_not_trained():
    network = initial_network(configure(frozen=["stages.*"]), 0).network
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert "backbone.linear.weight" in trained
    assert not any("stages" in name for name in trained)


@pytest.mark.parametrize(
    ("frozen", "words"),
    [
        (["stage.*"], r"Nothing in the backbone is called 'stage\.\*': .*stages"),
        (["*"], "The whole backbone is frozen"),
    ],
)
def test_what_cannot_be_frozen_is_told(frozen, words):
    with pytest.raises(ConfigError, match=words):
        initial_network(configure(frozen=frozen), 0)
