"""A gallery keeps to the detector that found its faces."""

from pathlib import Path

import pytest

from mfr.errors import GalleryError
from mfr.gallery import Gallery, ModelSource, enrolling, own_model
from mfr.gallery.merging import merge
from mfr.recogniser import Recogniser
from tests.gallery.fake_recogniser import FakeDetector, FakeRecogniser, photo

OUTSIDE = "somebodys.package:detector"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The detectors that recognisers were loaded with."""
    names: list[str] = []

    def load(*_: object, detector: str | None = None, **__: object) -> FakeRecogniser:
        names.append(detector or "mtcnn")
        return FakeRecogniser(detector=FakeDetector(names[-1]))

    monkeypatch.setattr(Recogniser, "load", load)
    return names


def test_it_is_remembered_and_no_other_is_taken(tmp_path: Path, asked: list[str]) -> None:
    path = tmp_path / "g"
    enrolling.enroll_photos(path, "ada", [photo(1, 0, 0)], detector="yunet")
    enrolling.enroll_photos(path, "bob", [photo(0, 1, 0)])
    own_model.load_recogniser(path, detector="yunet")
    assert asked == ["yunet"] * 3
    with pytest.raises(GalleryError, match=r"found by the detector 'yunet'.*leave --detector out"):
        enrolling.enroll_photos(path, "eve", [photo(0, 0, 1)], detector="mtcnn")
    with pytest.raises(GalleryError, match="'yunet'"):  # another place of the model is no reason
        own_model.load_recogniser(path, "dlib-resnet", detector="mtcnn")
    assert len(asked) == 3


def test_a_gallery_that_remembers_none_is_of_the_default(tmp_path: Path, asked: list[str]) -> None:
    path = tmp_path / "g"
    with Gallery.create(path, FakeRecogniser()) as made:
        made.remember_model(ModelSource("dlib-resnet"))
    own_model.load_recogniser(path)
    assert asked == ["mtcnn"]


def test_code_outside_mfr_is_named_by_the_user(tmp_path: Path, asked: list[str]) -> None:
    path = tmp_path / "g"
    with Gallery.create(path, FakeRecogniser()) as made:
        made.remember_model(ModelSource("dlib-resnet", None, OUTSIDE))
    with pytest.raises(GalleryError, match=f"pass --detector {OUTSIDE}"):
        own_model.load_recogniser(path)
    own_model.load_recogniser(path, detector=OUTSIDE)
    assert asked == [OUTSIDE]


def test_galleries_of_two_detectors_are_not_merged(tmp_path: Path, asked: list[str]) -> None:
    enrolling.enroll_photos(tmp_path / "a", "ada", [photo(1, 0, 0)])
    enrolling.enroll_photos(tmp_path / "b", "bob", [photo(0, 1, 0)], detector="yunet")
    with pytest.raises(GalleryError, match=r"b were found by the detector 'yunet'.*by 'mtcnn'"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
