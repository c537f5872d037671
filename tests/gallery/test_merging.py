"""Several galleries become one: who is one person, what is doubtful, and what comes along."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mfr import cli
from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.errors import (
    ConfigError,
    DoubtfulEnrolmentError,
    ForeignModelError,
    GalleryError,
    GalleryExistsError,
)
from mfr.gallery import Gallery, ModelSource
from mfr.gallery.crops import keeps_crops
from mfr.gallery.merging import merge
from mfr.gallery.store import create_store, open_store
from tests.gallery.fake_recogniser import FakeRecogniser, photo

CALIBRATION = Calibrations.of(
    Calibration(
        thresholds=[0.9, 0.6, 0.1],
        fmrs=[1e-6, 1e-3, 1e-1],
        comparisons=10**7,
        people=50,
        source="toy",
    )
)


def _gallery(
    path: Path, people: dict[str, list[bytes]], calibration: Calibrations | None = None
) -> Path:
    with Gallery.create(path, FakeRecogniser(calibration=calibration)) as gallery:
        for name, photos in people.items():
            gallery.enroll(name, photos, anyway=True)
    return path


def _people(path: Path) -> dict[str, int]:
    with Gallery.open(path) as gallery:
        return {each.identity: each.templates for each in gallery.list()}


ADA, ADA2, BOB = photo(1, 0, 0), photo(1, 0.1, 0), photo(0, 1, 0)


def test_everyone_and_what_belongs_to_them_comes_along(tmp_path: Path) -> None:
    a = _gallery(tmp_path / "a", {"ada": [ADA]}, CALIBRATION)
    b = _gallery(tmp_path / "b", {"bob": [BOB]})
    with Gallery.open(b, FakeRecogniser()) as gallery:
        gallery.enroll("eve", [photo(0, 0, 1)], anyway=True, keep_crops=True)
        gallery.remember_model(ModelSource("/b/model"))
    with Gallery.open(a) as gallery:
        gallery.remember_model(ModelSource("/a/model"))
    done = merge([a, b], tmp_path / "c")
    assert (done.people, done.added, done.already) == (3, 3, 0)
    assert len(done.remarks) == 1 and "another calibration" in done.remarks[0]
    with Gallery.open(tmp_path / "c") as gallery:
        assert gallery.calibration == CALIBRATION
        assert gallery.model_source() == ModelSource("/a/model")
        assert gallery.score("bob", np.float32([0, 1, 0])) == 1
        assert [gallery.show(name)[0].crop for name in ("bob", "eve")] == ["none", "kept"]
    with closing(open_store(tmp_path / "c")) as store:
        assert keeps_crops(store)
    assert (_people(a), _people(b)) == ({"ada": 1}, {"bob": 1, "eve": 1})


def test_a_name_is_one_person_where_a_photo_is_in_common_or_the_user_says_so(
    tmp_path: Path,
) -> None:
    a = _gallery(tmp_path / "a", {"ada": [ADA], "bob": [BOB]})
    b = _gallery(tmp_path / "b", {"ada": [ADA, ADA2]})
    other = _gallery(tmp_path / "other", {"bob": [photo(0, 0, 1)]})
    done = merge([a, b], tmp_path / "c")
    assert (done.added, done.already) == (3, 1)
    assert _people(tmp_path / "c") == {"ada": 2, "bob": 1}
    with pytest.raises(GalleryError, match=r"'bob' is in several of .* without a photo in common"):
        merge([a, other], tmp_path / "d")
    assert not (tmp_path / "d").exists()
    merge([a, other], tmp_path / "d", join_names=True)
    assert _people(tmp_path / "d") == {"ada": 1, "bob": 2}


def test_photos_and_people_under_two_names_are_doubted(tmp_path: Path) -> None:
    a = _gallery(tmp_path / "a", {"ada": [ADA], "bob": [BOB]}, CALIBRATION)
    b = _gallery(tmp_path / "b", {"augusta": [ADA2], "bobby": [BOB], "eve": [photo(0, 0, 1)]})
    told: list[str] = []
    with pytest.raises(DoubtfulEnrolmentError, match="2 templates speak against joining"):
        merge([a, b], tmp_path / "c", on_doubt=told.append)
    assert told[0].startswith("augusta: the image shows somebody who is already enrolled as 'ada'")
    assert told[1] == "bobby: the image is already enrolled as 'bob'."
    assert not (tmp_path / "c").exists()
    assert merge([a, b], tmp_path / "c", anyway=True).people == 5


def test_models_are_never_mixed_and_nothing_is_overwritten(tmp_path: Path) -> None:
    a = _gallery(tmp_path / "a", {"ada": [ADA]})
    b = _gallery(tmp_path / "b", {"bob": [BOB]})
    create_store(tmp_path / "o", model_hash="beef", embedding_size=3).close()
    with pytest.raises(ForeignModelError, match="another model"):
        merge([a, tmp_path / "o"], tmp_path / "c")
    with pytest.raises(GalleryExistsError):
        merge([a, b], tmp_path / "o")
    with pytest.raises(GalleryExistsError):
        merge([a, b], b)
    with pytest.raises(ConfigError, match="two galleries or more"):
        merge([a], tmp_path / "c")
    assert not (tmp_path / "c").exists()
    # What a killed merge leaves: nobody, or everybody.
    with Gallery.open(a) as gallery:
        create_store(tmp_path / "c", model_hash=gallery.model_hash, embedding_size=3).close()
    assert merge([a, b], tmp_path / "c").people == 2


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = _gallery(tmp_path / "a", {"ada": [ADA]})
    b = _gallery(tmp_path / "b", {"bob": [ADA]})
    words = ["gallery", "merge", str(a), str(b), "--out", str(tmp_path / "c")]
    assert cli.run(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("Doubt: bob: ") and "--anyway" in err
    assert cli.run([*words, "--anyway"]) == 0
    assert "2 enrolled now: 2 new templates" in capsys.readouterr().out
