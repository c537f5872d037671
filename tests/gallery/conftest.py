"""A gallery of three-dimensional embeddings, empty and with two people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mfr.gallery import Gallery
from tests.gallery.fake_recogniser import FakeRecogniser, photo
from tests.gallery.postgres_server import stop_server


@pytest.fixture(scope="session", autouse=True)
def no_server_is_left() -> Iterator[None]:
    yield
    stop_server()


@pytest.fixture
def gallery(tmp_path: Path):
    with Gallery.create(tmp_path / "g", FakeRecogniser()) as made:
        yield made


@pytest.fixture
def path(gallery: Gallery, tmp_path: Path) -> Path:
    gallery.enroll("ada", [photo(1, 0, 0)], anyway=True)
    gallery.enroll("bob", [photo(0, 1, 0), photo(0, 3, 4)], anyway=True)
    return tmp_path / "g"
