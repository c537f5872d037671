"""Everyone enrolled again with another model: from photos, from kept crops, or listed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mfr import cli
from mfr.errors import DataError, FaceError, GalleryError
from mfr.gallery import Gallery, NewTemplate, migration
from mfr.gallery.crops import keeps_crops
from mfr.gallery.migration import migrate
from mfr.gallery.same_face import face_recorded
from mfr.gallery.store import open_store
from mfr.recogniser import Recogniser
from tests.gallery.fake_recogniser import FakeFace, FakeRecogniser, photo


class Mirrored(FakeRecogniser):
    """The other model: it gives the opposite embeddings."""

    embedded, stop = 0, -1

    def embed_photo(self, source, *, face="main"):
        if self.embedded == self.stop:
            raise KeyboardInterrupt
        self.embedded += 1
        found = super().embed_photo(source, face=face)
        return replace(found, embedding=-found.embedding, detector="new-detector")


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mirrored:
    recogniser = Mirrored(model_hash="beef" * 4, calibration=None)
    monkeypatch.setattr(Recogniser, "load", lambda model, **options: recogniser)
    (tmp_path / "new").write_bytes(b"")
    return recogniser


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """ada: a photo that is there and one that changed; bob: gone, with a crop; eve: gone."""
    vectors = {"a1": (1, 0, 0), "a2": (0.8, 0.6, 0), "b1": (0, 0, 1), "e1": (0, 1, 0)}
    paths = {name: tmp_path / f"{name}.jpg" for name in vectors}
    for name, vector in vectors.items():
        paths[name].write_bytes(photo(*vector))
    with Gallery.create(tmp_path / "old", FakeRecogniser(calibration=None)) as gallery:
        gallery.enroll("ada", [paths["a1"], paths["a2"]])
        gallery.enroll("bob", [paths["b1"]], keep_crops=True)
        gallery.enroll("eve", [paths["e1"]], keep_crops=False)
    paths["a2"].write_bytes(photo(0, 1, 0))
    for name in ("b1", "e1"):
        paths[name].unlink()
    return tmp_path / "old"


def _migrate(tmp_path: Path, **options: object) -> migration.Migration:
    return migrate(tmp_path / "old", str(tmp_path / "new"), tmp_path / "out", **options)


def test_templates_are_made_anew_from_photos_or_crops_and_the_others_listed(
    tmp_path: Path, old: Path, other: Mirrored
) -> None:
    with Gallery.open(old) as gallery:
        before = {name: gallery.show(name) for name in ("ada", "bob", "eve")}
    done = _migrate(tmp_path)
    assert (done.templates, done.from_photos, done.from_crops, done.already) == (4, 1, 1, 0)
    listed = {Path(each.photo).name: (each.identity, each.reason) for each in done.not_moved}
    assert set(listed) == {"a2.jpg", "e1.jpg"}
    assert "has changed since it was enrolled" in listed["a2.jpg"][1]
    assert listed["e1.jpg"][0] == "eve" and "not there any more" in listed["e1.jpg"][1]
    assert done.lost == ("eve",)
    with Gallery.open(tmp_path / "out", other) as gallery:
        assert [each.identity for each in gallery.list()] == ["ada", "bob"]
        assert gallery.score("ada", np.float32([-1, 0, 0])) == pytest.approx(1)
        assert gallery.score("bob", np.float32([0, 0, 1])) == pytest.approx(1)  # of embed_crops
        (ada,), (bob,) = gallery.show("ada"), gallery.show("bob")
        source = gallery.model_source()
    assert (ada.enrolled, ada.photo_sha256) == (
        before["ada"][0].enrolled,
        before["ada"][0].photo_sha256,
    )
    assert (ada.detector, bob.detector) == ("new-detector", "toy-detector")
    assert (ada.crop, bob.crop) == ("none", "kept")
    assert source is not None and source.model == str(tmp_path / "new")
    with Gallery.open(old, FakeRecogniser(calibration=None)) as gallery:
        assert {name: gallery.show(name) for name in before} == before


def test_photos_that_have_moved_are_found_by_their_bytes(
    tmp_path: Path, old: Path, other: Mirrored
) -> None:
    (tmp_path / "moved" / "deep").mkdir(parents=True)
    (tmp_path / "moved/deep/renamed.png").write_bytes(photo(0, 1, 0))
    done = _migrate(tmp_path, photos=tmp_path / "moved")
    assert (done.from_photos, done.from_crops, done.lost) == (2, 1, ())
    with Gallery.open(tmp_path / "out") as gallery:
        assert gallery.show("eve")[0].source == str(tmp_path / "moved/deep/renamed.png")
    with pytest.raises(DataError, match="not a folder"):
        _migrate(tmp_path, photos=tmp_path / "nowhere")


def test_a_migration_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, other: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_STORED_AT_ONCE", 4)
    with Gallery.create(tmp_path / "old", FakeRecogniser(calibration=None)) as gallery:
        for name in "abcdef":
            paths = [tmp_path / f"{name}{number}.jpg" for number in range(3)]
            for number, path in enumerate(paths):
                path.write_bytes(photo(ord(name) - 96, 1, number))
            gallery.enroll(name, paths)
    other.stop = 14
    with pytest.raises(KeyboardInterrupt):
        _migrate(tmp_path)
    with Gallery.open(tmp_path / "out") as gallery:
        assert [each.identity for each in gallery.list()] == list("abcd")
    other.stop, other.embedded = -1, 0
    done = _migrate(tmp_path)
    assert (done.already, done.from_photos, other.embedded) == (12, 6, 6)
    with Gallery.open(tmp_path / "out") as gallery:
        assert {each.identity: each.templates for each in gallery.list()} == dict.fromkeys(
            "abcdef", 3
        )


def test_what_is_no_migration_is_refused(tmp_path: Path, old: Path, other: Mirrored) -> None:
    Gallery.create(tmp_path / "out", other).close()
    with pytest.raises(GalleryError, match="not from a migration"):
        _migrate(tmp_path)
    other.model_hash = FakeRecogniser().model_hash
    with pytest.raises(GalleryError, match="of this model already"):
        migrate(old, str(tmp_path / "new"), tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_whether_crops_are_kept_is_remembered(tmp_path: Path, old: Path, other: Mirrored) -> None:
    with Gallery.open(old, FakeRecogniser(calibration=None)) as gallery:
        gallery.enroll("joe", [photo(1, 1, 1)], keep_crops=True)
    _migrate(tmp_path)
    with closing(open_store(tmp_path / "out")) as store:
        assert keeps_crops(store)


def test_the_command(
    tmp_path: Path, old: Path, other: Mirrored, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["gallery", "migrate", str(old), "--model", str(tmp_path / "new")]
    words += ["--out", str(tmp_path / "out")]
    assert cli.run(words) == 1
    out = capsys.readouterr().out
    assert "Not moved, of eve:" in out and "2 of 4 templates" in out
    assert "1 person not in it at all: eve." in out
    assert cli.run([*words, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["already"], document["lost"]) == (2, ["eve"])
    for person, number in (("ada", 2), ("eve", 4)):
        assert cli.run(["gallery", "remove", str(old), person, "--template", str(number)]) == 0
    assert cli.run(words) == 0


@dataclass(frozen=True)
class Measured:
    inter_ocular: float
    brightness: float


class Group(FakeRecogniser):
    """A photo with faces of the given measurements, the first of which is the main one."""

    def __init__(self, measured: Sequence[Measured]) -> None:
        super().__init__()
        self.found = [
            FakeFace(np.eye(3, dtype=np.float32)[0], str(n), each, faces=len(measured))  # type: ignore[arg-type]
            for n, each in enumerate(measured)
        ]

    def embed_faces(self, photo):
        return self.found


def test_the_enrolled_face_is_told_by_its_measurements() -> None:
    def told(recorded: dict[str, float], *measured: tuple[float, float]) -> str:
        group = Group([Measured(*each) for each in measured])
        template = NewTemplate(np.eye(3, dtype=np.float32)[0], "photo", quality=recorded)
        return face_recorded(group, Path("x.jpg"), group.found[0], template).name

    record = {"inter_ocular": 40.0, "brightness": 100.0}
    assert told(record, (40.5, 101)) == "0"
    assert told(record, (60, 100), (40.5, 101)) == "1"  # not the main one
    assert told(record, (40, 140), (39, 95)) == "1"
    assert told({}, (60, 10)) == "0"
    for faces in ([(60, 100)], [(60, 100), (80, 100)]):
        with pytest.raises(FaceError, match="no face that is"):
            told(record, *faces)
    for recorded, faces in ((record, [(40, 100), (41, 99)]), ({}, [(60, 10), (40, 10)])):
        with pytest.raises(FaceError, match="several faces that may be"):
            told(recorded, *faces)
