"""Enrolment of many people: each photo by itself, resumable, and screened as one enrolment is."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mfr import cli
from mfr.calibration import Calibration
from mfr.gallery import Gallery, bulk
from mfr.gallery.bulk import enroll_people
from mfr.gallery.crops import crop_pixels
from mfr.gallery.store import open_store
from mfr.recogniser import Recogniser
from tests.gallery.fake_recogniser import FakeRecogniser, photo

_CALIBRATION = Calibration(
    thresholds=[0.9, 0.6, 0.1],
    fmrs=[1e-6, 1e-3, 1e-1],
    comparisons=10**7,
    people=50,
    source="toy",
)


class Counting(FakeRecogniser):
    """Counts what it embeds, and is stopped before the photo ``stop``."""

    def __init__(self, stop: int | None = None, **values: object) -> None:
        super().__init__(**values)  # type: ignore[arg-type]
        self.embedded, self.stop = 0, stop

    def embed_photo(self, source, *, face="main"):
        if self.embedded == self.stop:
            raise KeyboardInterrupt
        self.embedded += 1
        return super().embed_photo(source, face=face)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Makes a recogniser the one that is loaded."""
    (tmp_path / "model").write_bytes(b"")

    def use(recogniser: FakeRecogniser) -> FakeRecogniser:
        monkeypatch.setattr(Recogniser, "load", lambda model, **options: recogniser)
        return recogniser

    return use


def _write(folder: Path, people: dict[str, list[bytes]]) -> Path:
    for name, photos in people.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(photos):
            (folder / name / f"{number}.jpg").write_bytes(data)
    return folder


def _enroll(tmp_path: Path, **options: object) -> bulk.BulkEnrolment:
    return enroll_people(
        tmp_path / "g", tmp_path / "people", model=str(tmp_path / "model"), **options
    )


def _people(tmp_path: Path) -> dict[str, int]:
    with Gallery.open(tmp_path / "g") as gallery:
        return {each.identity: each.templates for each in gallery.list()}


def test_each_photo_is_enrolled_or_refused_by_itself(tmp_path: Path, use) -> None:
    use(FakeRecogniser(calibration=None))
    _write(
        tmp_path / "people",
        {"ada": [photo(1, 0, 0), b" ", photo(3, 4, 0)], "bob": [photo(0, 0, 1)], "eve": [b""]},
    )
    done = _enroll(tmp_path)
    assert (done.photos, done.people, done.added, done.already) == (5, 2, 3, 0)
    reasons = {each.photo: (each.identity, each.reason) for each in done.refused}
    assert set(reasons) == {str(tmp_path / "people" / each) for each in ("ada/1.jpg", "eve/0.jpg")}
    name, reason = reasons[str(tmp_path / "people/ada/1.jpg")]
    assert name == "ada" and reason.startswith("No face was found in")
    assert _people(tmp_path) == {"ada": 2, "bob": 1}
    with Gallery.open(tmp_path / "g") as gallery:
        assert gallery.score("ada", np.float32([0.6, 0.8, 0])) == pytest.approx(1)
        assert gallery.show("bob")[0].source == str(tmp_path / "people/bob/0.jpg")
        source = gallery.model_source()
    assert source is not None and source.model == str(tmp_path / "model")


def test_photos_enrolled_already_are_not_looked_at_again(tmp_path: Path, use) -> None:
    use(FakeRecogniser())
    _write(tmp_path / "people", {"ada": [photo(1, 0, 0)], "bob": [photo(0, 0, 1)]})
    _enroll(tmp_path)
    _write(tmp_path / "people", {"ada": [photo(1, 0, 0), photo(1, 0.1, 0), photo(1, 0.1, 0)]})
    counting = use(Counting())
    done = _enroll(tmp_path)
    assert (done.added, done.already, done.refused, counting.embedded) == (1, 3, (), 1)


def test_a_run_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_STORED_AT_ONCE", 4)
    rows = {f"p{n}": [photo(n, 1, k / 50) for k in range(3)] for n in range(8)}
    _write(tmp_path / "people", rows)
    use(Counting(stop=20, calibration=None))
    with pytest.raises(KeyboardInterrupt):
        _enroll(tmp_path)
    assert _people(tmp_path) == {f"p{n}": 3 for n in range(6)}  # two whole people at a time
    counting = use(Counting(calibration=None))
    done = _enroll(tmp_path)
    assert (counting.embedded, done.added, done.already) == (6, 6, 18)
    assert _people(tmp_path) == {f"p{n}": 3 for n in range(8)}


@pytest.mark.slow
def test_a_killed_run_loses_no_more_than_what_was_not_stored(tmp_path: Path, use) -> None:
    rows = {f"p{n:02}": [photo(n, 1, k / 50) for k in range(5)] for n in range(40)}
    _write(tmp_path / "people", rows)
    (tmp_path / "model").write_bytes(b"")
    killed = subprocess.run(
        [sys.executable, "-c", _KILL, str(tmp_path)], cwd=Path(__file__).parents[2]
    )
    assert killed.returncode == -9
    kept = sum(_people(tmp_path).values())
    assert kept == 130  # 65, 13 whole people, in each of two transactions
    counting = use(Counting(calibration=None))
    done = _enroll(tmp_path)
    assert (done.already, counting.embedded, done.added) == (kept, 200 - kept, 200 - kept)
    with Gallery.open(tmp_path / "g") as gallery:
        assert gallery.rebuild() == 200


_KILL = """
import os, signal, sys
from pathlib import Path
from mfr.gallery.bulk import enroll_people
from mfr.recogniser import Recogniser
from tests.gallery.fake_recogniser import FakeRecogniser
class Killed(FakeRecogniser):
    embedded = 0
    def embed_photo(self, source, *, face="main"):
        self.embedded += 1
        if self.embedded == 150:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed_photo(source, face=face)
Recogniser.load = lambda model, **options: Killed(calibration=None)
place = Path(sys.argv[1])
enroll_people(place / "g", place / "people", model=str(place / "model"))
"""


def test_one_photo_under_two_names_stays_with_the_first(tmp_path: Path, use) -> None:
    use(FakeRecogniser(calibration=None))
    same = photo(1, 0, 0)
    _write(tmp_path / "people", {"ada": [same], "bob": [same, photo(0, 1, 0)]})
    done = _enroll(tmp_path)
    (refusal,) = done.refused
    assert refusal.identity == "bob" and "already enrolled as 'ada'" in refusal.reason
    counting = use(Counting(calibration=None))
    assert _enroll(tmp_path).refused[0].reason == refusal.reason
    assert counting.embedded == 0  # known by its bytes
    assert _enroll(tmp_path, anyway=True).added == 1


def test_people_are_held_against_one_another_and_photos_against_those_of_their_person(
    tmp_path: Path, use
) -> None:
    use(FakeRecogniser(calibration=_CALIBRATION))
    _write(
        tmp_path / "people",
        {
            "ada": [photo(1, 0, 0), photo(1, 0.2, 0), photo(0, 0, 1)],
            "ada again": [photo(1, 0.1, 0)],
            "bob": [photo(0, 1, 0)],
        },
    )
    done = _enroll(tmp_path)
    assert [(each.identity, Path(each.photo).name) for each in done.refused] == [
        ("ada", "2.jpg"),
        ("ada again", "0.jpg"),
    ]
    assert "unlike the other photos of 'ada'" in done.refused[0].reason
    assert "shows somebody who is already enrolled as 'ada'" in done.refused[1].reason
    assert _people(tmp_path) == {"ada": 2, "bob": 1}
    # The same against what was enrolled by an earlier run.
    again = _enroll(tmp_path)
    assert (again.added, again.already) == (0, 3)
    assert [each.identity for each in again.refused] == ["ada", "ada again"]
    assert _enroll(tmp_path, anyway=True).added == 2


def test_poor_faces_are_refused_unless_they_are_wanted(tmp_path: Path, use) -> None:
    use(FakeRecogniser(poor=("it is blurred",)))
    _write(tmp_path / "people", {"ada": [photo(1, 0, 0)]})
    assert "it is blurred" in _enroll(tmp_path).refused[0].reason
    done = _enroll(tmp_path, any_quality=True)
    assert done.added == 1 and "is poor: it is blurred" in done.remarks[0]


def test_crops_are_kept_where_it_was_said_and_the_gallery_remembers_it(tmp_path: Path, use) -> None:
    use(FakeRecogniser())
    _write(tmp_path / "people", {"ada": [photo(1, 0, 0)]})
    assert not _enroll(tmp_path).keeps_crops
    _write(tmp_path / "people", {"bob": [photo(0, 1, 0)]})
    assert _enroll(tmp_path, keep_crops=True).keeps_crops
    _write(tmp_path / "people", {"eve": [photo(0, 0, 1)]})
    assert _enroll(tmp_path).keeps_crops
    with Gallery.open(tmp_path / "g", FakeRecogniser()) as gallery:
        assert gallery.enroll("joe", [photo(-1, 0, 0)]).crops == 1
        assert gallery.enroll("kim", [photo(0, -1, 0)], keep_crops=False).crops == 0
        assert gallery.enroll("lea", [photo(0, 0, -1)]).crops == 0
        kept = {each.identity: gallery.show(each.identity)[0].crop for each in gallery.list()}
    assert kept == {
        **{"ada": "none", "bob": "kept", "eve": "kept", "joe": "kept"},
        **{"kim": "none", "lea": "none"},
    }
    with closing(open_store(tmp_path / "g")) as store:
        assert crop_pixels(store.whole_templates("bob")[0].crop).tolist() == [[[7] * 3] * 112] * 112


def test_the_command(tmp_path: Path, use, capsys: pytest.CaptureFixture[str]) -> None:
    use(FakeRecogniser())
    _write(tmp_path / "people", {"ada": [photo(1, 0, 0), b" "], "bob": [photo(0, 0, 1)]})
    words = ["enroll", str(tmp_path / "g"), "--from", str(tmp_path / "people")]
    assert cli.run([*words, "--model", str(tmp_path / "model"), "--keep-crops"]) == 1
    out, err = capsys.readouterr()
    assert "Refused: No face was found in" in out and "2 new templates" in out
    assert "--no-keep-crops" in out
    assert err.count("enrolling: 3 of 3") == 1
    assert cli.run([*words, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["added"], document["already"]) == (0, 2)
    assert document["refused"][0]["photo"].endswith("ada/1.jpg")
    (tmp_path / "people/ada/1.jpg").unlink()
    assert cli.run(words) == 0
    assert cli.run([*words, "ada", "x.jpg"]) == 2
    assert cli.run(["enroll", str(tmp_path / "g"), "ada"]) == 2
