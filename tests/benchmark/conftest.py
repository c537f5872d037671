"""A fake encoder and small datasets of crops, made from seeds."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mfr.benchmark import bootstrap
from mfr.data.manifest import Manifest
from mfr.model_record import ModelRecord
from mfr.seen_people import SeenPeople

NOBODY = SeenPeople.nobody("fake")


class FakeEncoder:
    """Embeds crops by a fixed random projection of their 8 x 8 block means."""

    device = "cpu"
    model_hash = "f" * 64
    embedding_size = 64

    def __init__(self, *, sources=(), seed=0, seen=NOBODY):
        self.record = ModelRecord(
            backbone="fake",
            embedding_size=64,
            flip_fusion=False,
            data={"sources": list(sources)},
            seen=seen,
        )
        self.projection = np.random.default_rng(seed).normal(size=(192, 64))

    def embed(self, crops, *, batch_size=64):
        assert crops.dtype == np.uint8 and crops.shape[1:] == (112, 112, 3)
        blocks = (
            crops.reshape(len(crops), 8, 14, 8, 14, 3).mean(axis=(2, 4)).reshape(len(crops), -1)
        )
        vectors = (blocks - 127.5) @ self.projection
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_dataset(root: Path, images: dict[str, int], *, noise: float, seed: int = 0, **row):
    """A manifest with ``images`` per identity; an identity's crops are a pattern plus noise."""
    generator = np.random.default_rng(seed)
    rows = []
    for identity, count in images.items():
        pattern = generator.uniform(60, 200, (8, 8, 3))
        for number in range(1, count + 1):
            blocks = pattern + generator.normal(0, noise, pattern.shape)
            crop = np.kron(np.clip(blocks, 0, 255).astype(np.uint8), np.ones((14, 14, 1), np.uint8))
            name = f"{len(rows):04d}.png"
            (root / "crops").mkdir(parents=True, exist_ok=True)
            Image.fromarray(crop).save(root / "crops" / name)
            rows.append(
                {
                    "path": f"photos/{identity}/{identity}_{number:04d}.jpg",
                    "identity": identity,
                    "domain": "lfw",
                    "person": identity,
                    "split": "test",
                    "alignment": "detected",
                    "crop": f"crops/{name}",
                    **row,
                }
            )
    return Manifest.empty(root).append(rows)


@pytest.fixture
def any_number_of_people(monkeypatch):
    """Intervals of however few people, for tests of what is done with intervals."""
    monkeypatch.setattr(bootstrap, "FEWEST_PEOPLE", 1)


@pytest.fixture
def encoder():
    return FakeEncoder()


@pytest.fixture
def dataset(tmp_path):
    """12 people with 1 to 4 images in domain 'lfw', split 'test'."""
    return make_dataset(tmp_path, {f"p{i:02d}": 1 + i % 4 for i in range(12)}, noise=80)
