"""A gallery decides by its own calibration, whichever model file with its weights is used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mfr import cli
from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.errors import ForeignModelError, GalleryDamagedError, ModelError
from mfr.gallery import Gallery, ModelSource
from mfr.gallery.own_calibration import threshold_at
from mfr.gallery.own_model import change_calibration, load_recogniser
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.recogniser import Recogniser
from tests.gallery.fake_recogniser import CALIBRATION, FakeRecogniser, photo

OTHER = Calibrations.of(
    Calibration(thresholds=[0.8, 0.4], fmrs=[0.01, 0.1], comparisons=500, people=40, source="other")
)
PROBE = photo(3, 4, 0)  # 0.6 from ada: a match at FMR 0.01 by `CALIBRATION`, not by `OTHER`


def _recogniser(calibration: Calibrations | None) -> FakeRecogniser:
    return FakeRecogniser(calibration=calibration)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of model files 'own', 'other', 'none' and 'foreign'."""
    known = {
        "own": _recogniser(CALIBRATION),
        "other": _recogniser(OTHER),
        "none": _recogniser(None),
        "foreign": FakeRecogniser(model_hash="feed" * 4),
    }
    (tmp_path / "models").mkdir()
    for name in known:
        (tmp_path / "models" / name).touch()

    def load(model: str, **_: object) -> FakeRecogniser:
        assert Path(model).is_file()
        return known[Path(model).name]

    monkeypatch.setattr(Recogniser, "load", load)
    return tmp_path / "models"


def test_decisions_stay_when_another_model_file_is_used(gallery: Gallery, path: Path) -> None:
    decision = gallery.verify("ada", PROBE, fmr=0.01)
    assert decision.match and decision.threshold == 0.5
    for calibration in (OTHER, None):
        with Gallery.open(path, _recogniser(calibration)) as opened:
            assert opened.calibration == CALIBRATION
            assert opened.verify("ada", PROBE, fmr=0.01) == decision
            assert opened.identify(PROBE, fpir=0.05).candidates[1].match
            opened.enroll("eve", [photo(0, 0, -1)])
            assert opened.calibration == CALIBRATION


def test_the_calibration_is_changed_for_every_process(gallery: Gallery, path: Path) -> None:
    with Gallery.open(path, _recogniser(CALIBRATION)) as other:
        other.calibrate(OTHER)
    assert gallery.calibration == OTHER
    assert not gallery.verify("ada", PROBE, fmr=0.01).match
    stamp = gallery._store.stamp
    gallery.calibrate(None)
    assert gallery._store.stamp == stamp
    with pytest.raises(ModelError, match="This gallery has no calibration"):
        gallery.verify("ada", PROBE)
    assert gallery.identify(PROBE).candidates[0].match is None


def test_a_damaged_calibration_decides_nothing(gallery: Gallery, path: Path) -> None:
    connection = sqlite3.connect(path / FILE_NAME)
    connection.execute(
        "UPDATE meta SET value = replace(value, '0.5', '0.4') WHERE key LIKE 'note%'"
    )
    connection.commit()
    connection.close()
    with pytest.raises(GalleryDamagedError, match=r"calibration .* is damaged"):
        gallery.verify("ada", PROBE)
    assert gallery.verify("ada", PROBE, threshold=0.5).match
    assert len(gallery.search(gallery._store.embeddings("ada")[0])) == 2
    gallery.calibrate(CALIBRATION)
    assert gallery.verify("ada", PROBE, fmr=0.01).match


def test_the_command_shows_what_it_changes(
    gallery: Gallery, path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["gallery", "calibrate", str(path), "--model", str(models / "other")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    cells = {
        line[1]: (line[3], line[-2]) for line in lines if len(line) > 4 and line[0] == "\u2502"
    }
    assert cells["0.1"] == ("0.1000", "0.4000")
    assert cells["0.01"] == ("0.5000", "0.8000")
    assert cells["0.001"] == ("0.9000", "tell")
    assert gallery.calibration == OTHER
    assert change_calibration(path, str(models / "own")) == (OTHER, CALIBRATION)
    with pytest.raises(ModelError, match="no calibration"):
        change_calibration(path, str(models / "none"))
    with pytest.raises(ForeignModelError):
        change_calibration(path, str(models / "foreign"))
    assert gallery.calibration == CALIBRATION


def test_what_a_calibration_cannot_tell() -> None:
    assert threshold_at(None, 0.1) is None
    assert threshold_at(OTHER, 0.001) is None
    assert threshold_at(OTHER, 0.05) == 0.8


def test_a_moved_model_is_remembered(gallery: Gallery, path: Path, models: Path) -> None:
    gallery.remember_model(ModelSource(str(models / "gone")))
    load_recogniser(path, str(models / "other"))
    assert gallery.model_source() == ModelSource(str(models / "other"))
    assert gallery.calibration == CALIBRATION
    load_recogniser(path, str(models / "own"))  # the other one is still there
    assert gallery.model_source() == ModelSource(str(models / "other"))
    (models / "other").unlink()
    load_recogniser(path, str(models / "foreign"))
    assert gallery.model_source() == ModelSource(str(models / "other"))


def _forget(path: Path) -> None:
    """Make it as a gallery of an older format: without a calibration of its own."""
    connection = sqlite3.connect(path / FILE_NAME)
    connection.execute("DELETE FROM meta WHERE key LIKE 'note%'")
    connection.commit()
    connection.close()


def test_an_older_gallery_settles_on_the_model_it_remembers(
    gallery: Gallery, path: Path, models: Path
) -> None:
    gallery.remember_model(ModelSource(str(models / "own")))
    _forget(path)
    with Gallery.open(path, _recogniser(OTHER)) as opened:
        assert opened.calibration == OTHER  # it goes by the model it is used with
    load_recogniser(path, str(models / "other"))
    assert gallery.calibration == CALIBRATION
    _forget(path)
    (models / "own").unlink()
    load_recogniser(path, str(models / "other"))
    with Gallery.open(path, _recogniser(CALIBRATION)) as opened:
        assert opened.calibration == OTHER
