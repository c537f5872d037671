"""Stores by their locations."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfr.errors import GalleryError, GalleryExistsError, GalleryMissingError
from mfr.gallery import Gallery
from mfr.gallery.store import STORES, create_store, directory_of, occupied, open_store
from tests.gallery.fake_recogniser import FakeRecogniser


def test_a_path_is_a_directory_with_sqlite(tmp_path: Path) -> None:
    place = tmp_path / "g"
    assert not occupied(place)
    create_store(place, model_hash="feed", embedding_size=3).close()
    assert occupied(place) and occupied(str(place)) and occupied(f"sqlite://{place}")
    for location in (place, str(place), f"sqlite://{place}"):
        store = open_store(location)
        assert (store.model_hash, store.embedding_size) == ("feed", 3)
        store.close()
        assert directory_of(location) == place
        with pytest.raises(GalleryExistsError):
            create_store(location, model_hash="feed", embedding_size=3)
    with pytest.raises(GalleryMissingError):
        open_store(tmp_path / "none")


@pytest.mark.parametrize("location", ["mysql://host/faces", "://x", "http://example.org"])
def test_an_unknown_scheme_is_told(location: str) -> None:
    for use in (
        open_store,
        occupied,
        Gallery.open,
        lambda place: Gallery.open(place, FakeRecogniser(), create=True),
        lambda place: Gallery.create(place, FakeRecogniser()),
    ):
        with pytest.raises(GalleryError, match="no kind of gallery") as refused:
            use(location)
        assert "sqlite" in str(refused.value)
    assert directory_of(location) is None


def test_every_kind_of_store_can_be_found() -> None:
    for name in STORES.names():
        assert {"open", "create", "occupied"} <= set(dir(STORES.find(name)))
