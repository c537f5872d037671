"""Many photos, each a search of its own, with the answers of single searches."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfr.errors import ConfigError
from mfr.gallery import Gallery, many_photos
from mfr.gallery.many_photos import identify_each
from tests.gallery.fake_recogniser import FakeRecogniser, photo
from tests.gallery.test_judging import FINE


@pytest.fixture
def gallery(tmp_path):
    with Gallery.create(tmp_path / "g", FakeRecogniser(calibration=FINE)) as made:
        made.enroll("ada", [photo(1, 0, 0)])
        made.enroll("bob", [photo(0, 1, 0)])
        yield made


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    contents = [photo(1, 0.2, 0), b" ", photo(0, 0, 1), photo(0, 1, 1.5), photo(0, 1, 0.1)]
    paths = [tmp_path / f"{number}.jpg" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


@pytest.mark.parametrize("at_once", [1, 2, 64])
def test_each_photo_is_answered_as_alone_in_any_batch(gallery, photos, monkeypatch, at_once):
    monkeypatch.setattr(many_photos, "_SEARCHED_AT_ONCE", at_once)
    told = []
    searched = identify_each(
        FakeRecogniser(calibration=FINE),
        gallery,
        photos,
        k=1,
        on_progress=lambda *progress: told.append(progress),
    )
    assert [each.photo for each in searched] == [str(path) for path in photos]
    assert searched[1].found is None and "No face was found" in searched[1].refused
    del searched[1], photos[1]
    for each, path in zip(searched, photos, strict=True):
        assert each.refused is None and each.found == gallery.identify(path, k=1)
    outcomes = [each.found.outcome for each in searched]
    assert outcomes == ["match", "nobody", "uncertain", "match"]
    assert told[0] == (0, 5, "") and told[-1] == (5, 5, "1 refused")


def test_searches_are_made_together(gallery, photos, monkeypatch):
    sizes = []
    nearest = gallery.open_set().searching.nearest

    def counting(embeddings, k, group):
        sizes.append(len(embeddings))
        return nearest(embeddings, k, group)

    monkeypatch.setattr(gallery.open_set().searching, "nearest", counting)
    identify_each(FakeRecogniser(calibration=FINE), gallery, photos)
    assert sizes == [4]


def test_only_refused_photos_are_no_search(gallery, photos):
    (alone,) = identify_each(FakeRecogniser(calibration=FINE), gallery, photos[1:2])
    assert alone.found is None


@pytest.mark.parametrize("wrong", [{"k": 0}, {"fpir": 0.0}, {"condition": "x"}, {"threshold": 2.0}])
def test_what_is_out_of_range_is_refused_before_a_photo_is_read(gallery, wrong):
    with pytest.raises(ConfigError):
        identify_each(FakeRecogniser(calibration=FINE), gallery, [Path("missing.jpg")], **wrong)
