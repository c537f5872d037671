"""People with constructed embeddings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from data_tools.checking.people import People
from mfr.data.manifest import Manifest

Faces = list[tuple[str, str, str, np.ndarray]]
"""The domain, identity, person and embedding of each image."""


@pytest.fixture
def directions() -> np.ndarray:
    """The directions of 40 people, (40, 64): random, so that cosines between them are near 0."""
    vectors = np.random.default_rng(0).normal(size=(40, 64))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def photos() -> Callable[..., list[np.ndarray]]:
    """Photos of a direction, with noise that leaves a cosine of about 0.7 between two of them."""
    generator = np.random.default_rng(1)

    def make(direction: np.ndarray, count: int) -> list[np.ndarray]:
        noisy = direction + generator.normal(size=(count, len(direction))) * 0.65 / 8
        return list(noisy / np.linalg.norm(noisy, axis=1, keepdims=True))

    return make


@pytest.fixture
def people_of(tmp_path) -> Callable[..., People]:
    def make(faces: Faces, splits: dict[str, str] | None = None) -> People:
        rows = [
            {
                "path": f"{domain}/{identity}/{number}.jpg",
                "identity": identity,
                "domain": domain,
                "person": person,
                "split": (splits or {}).get(person),
            }
            for number, (domain, identity, person, _) in enumerate(faces)
        ]
        manifest = Manifest.empty(tmp_path).append(rows)
        embeddings = np.array([vector for *_, vector in faces], np.float32)
        return People.of(manifest, np.arange(len(faces)), embeddings)

    return make


@pytest.fixture
def clean(directions, photos) -> Faces:
    """30 people with 8 photos each in one domain."""
    return [
        ("d", f"p{k:02}", f"p{k:02}", face) for k in range(30) for face in photos(directions[k], 8)
    ]
