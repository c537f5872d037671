"""Small folders of photos, and a detector that needs no networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_tools import aligning
from mfr.faces import Face
from mfr.geometry import TEMPLATE


@pytest.fixture
def make_photos(tmp_path) -> Callable[..., Path]:
    """Writes photos/<identity>/<name>; the fake detector finds as many faces as the first pixel."""

    def make(files: dict[str, int], folder: str = "photos") -> Path:
        for name, faces in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            seed = sum(name.encode())
            pixels = np.random.default_rng(seed).integers(0, 256, (130, 140, 3), dtype=np.uint8)
            pixels[0, 0] = faces
            Image.fromarray(pixels).save(path, "PNG")
        return tmp_path / folder

    return make


class FakeDetector:
    """Finds as many faces as the value of the first pixel, each further right and smaller."""

    name = "fake"

    def __init__(
        self, name: str = "mtcnn", *, device: object = "cpu", min_face_fraction: float = 0.1
    ) -> None:
        self.seen = 0

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        self.seen += len(images)
        return [
            [
                Face(
                    np.array([8.0 * i, 0, 112 - 8 * i, 112 - 16 * i], np.float32),
                    0.99,
                    np.float32(TEMPLATE + np.array([8 * i, 0])),
                )
                for i in range(int(image[0, 0, 0]))
            ]
            for image in images
        ]


@pytest.fixture
def fake_detector(monkeypatch) -> list[FakeDetector]:
    """Replaces the detector by the fake; gives the list of the fakes that were made."""
    made: list[FakeDetector] = []

    def make(*arguments: object, **options: float) -> FakeDetector:
        made.append(FakeDetector(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(aligning, "build_detector", make)
    return made
