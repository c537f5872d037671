"""What a training is started with, and why it cannot be."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mfr.errors import DataError
from mfr.training.starting import training_people
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
