"""Keys, notes of people and the audit log, from the command line."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mfr import cli
from mfr.gallery import Gallery
from mfr.gallery.sqlite import SqliteStore
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.sealing import master_key as master_keys
from tests.gallery.fake_recogniser import FakeRecogniser, photo
from tests.gallery.test_judging import FINE


@pytest.fixture(autouse=True)
def no_key_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (
        master_keys.KEY_VARIABLE,
        master_keys.FILE_VARIABLE,
        master_keys.COMMAND_VARIABLE,
    ):
        monkeypatch.setenv(variable, "")  # the commands set some of them


@pytest.fixture
def gallery(tmp_path: Path) -> str:
    with Gallery.create(tmp_path / "g", FakeRecogniser(calibration=FINE)) as made:
        made.enroll("ada", [photo(1, 0, 0)])
        made.enroll("bob", [photo(0, 1, 0)])
    return str(tmp_path / "g")


def run(*words: object, code: int = 0) -> None:
    assert cli.run([str(word) for word in words]) == code


def test_a_gallery_is_encrypted_and_gets_another_key(
    gallery: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old.key", tmp_path / "new.key"
    run("gallery", "new-key", old)
    run("gallery", "new-key", new)
    run("gallery", "new-key", new, code=2)
    run("gallery", "encrypt", gallery, code=2)
    assert "No key is named" in capsys.readouterr().err
    run("--key-file", old, "gallery", "encrypt", gallery)
    with closing(sqlite3.connect(Path(gallery) / FILE_NAME)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM identities")]
    assert len(names) == 2 and not {"ada", "bob"} & set(names)
    run("--key-file", old, "gallery", "change-key", gallery, "--to", new)
    run("--key-file", old, "gallery", "list", gallery, code=2)
    assert "is encrypted with the key" in capsys.readouterr().err
    run("--key-file", new, "gallery", "list", gallery, "--json")
    assert [each["identity"] for each in json.loads(capsys.readouterr().out)] == ["ada", "bob"]
    master_keys.os.environ[master_keys.FILE_VARIABLE] = ""
    run("--key-command", f"cat {new}", "gallery", "audit", gallery, "--verify", "--json")
    told = json.loads(capsys.readouterr().out)
    assert [each["event"] for each in told["shown"]][-2:] == ["encrypted", "key changed"]
    assert len(told["last_hash"]) == 64


def test_what_is_noted_is_listed(gallery: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--external-id", "7", "--group", "staff", "--metadata", '{"desk": 4}')
    run("gallery", "describe", gallery, "ada", *words)
    run("gallery", "describe", gallery, "ada", "--group", "night", "--consent", "signed")
    capsys.readouterr()
    run("gallery", "people", gallery, "--group", "night", "--json")
    (ada,) = json.loads(capsys.readouterr().out)
    assert (ada["identity"], ada["templates"]) == ("ada", 1)
    assert ada["details"] == {
        "display_name": "",
        "external_id": "7",
        "metadata": {"desk": 4},
        "consent": "signed",
        "groups": ["night", "staff"],
    }
    run("gallery", "describe", gallery, "ada", "--no-groups", "--consent", "")
    run("gallery", "people", gallery)
    out = capsys.readouterr().out
    assert "bob" in out and "staff" not in out and "signed" not in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Nothing to note was given"),
        (("--metadata", "{"), "--metadata is no JSON"),
        (("--metadata", "[1]"), "--metadata is no JSON object"),
        (("--external-id", "x" * 300), "has more than 256 characters"),
    ],
)
def test_notes_that_are_unfit_are_refused(
    gallery: str, words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("gallery", "describe", gallery, "ada", *words, code=2)
    assert sentence in capsys.readouterr().err


def test_decisions_are_logged_if_wanted(
    gallery: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recogniser = FakeRecogniser(calibration=FINE)
    with Gallery.open(gallery, recogniser) as opened:
        before = len(opened.audit_log.entries())
        opened.identify(photo(1, 0, 0))
        assert len(opened.audit_log.entries()) == before
        number = opened.people.get("ada").id
    run("gallery", "audit", gallery, "--decisions")
    with Gallery.open(gallery, recogniser) as opened:
        opened.identify(photo(1, 0, 0))
        opened.identify(photo(0, 0, 1))
        opened.verify("bob", photo(1, 0, 0))
        *_, known, unknown, claim = opened.audit_log.entries()
        assert (known.event, known.person, known.facts["outcome"]) == (
            "identified",
            number,
            "match",
        )
        assert (unknown.person, unknown.facts["outcome"]) == (None, "nobody")
        assert (claim.event, claim.facts["match"]) == ("verified", False)
        assert opened.audit_log.verify() == claim.link
    out = tmp_path / "audit.jsonl"
    run("gallery", "audit", gallery, "--export", out, "--no-decisions")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines[-1]["event"] == "decisions logged"
    assert '"ada"' not in out.read_text()


def test_a_log_that_was_changed_is_told(gallery: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = SqliteStore(Path(gallery))
    with store._file.writing() as connection:
        connection.execute("UPDATE audit SET actor = 'mallory' WHERE number = 2")
    store.close()
    run("gallery", "audit", gallery, "--verify", code=2)
    assert "entry 2 is not what was logged" in capsys.readouterr().err


def test_notes_come_along_when_galleries_are_merged(gallery: str, tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "h", FakeRecogniser(calibration=FINE)) as other:
        other.enroll("eve", [photo(0, 0, 1)])
        other.people.change("eve", external_id="9")
    run("gallery", "describe", gallery, "ada", "--group", "staff")
    run("gallery", "merge", gallery, tmp_path / "h", "--out", tmp_path / "both")
    with Gallery.open(tmp_path / "both") as both:
        assert both.people.groups() == {"staff": 1}
        assert both.people.find("9").identity == "eve"


def test_strangers_to_a_group_are_nobody_in_it(gallery: str) -> None:
    recogniser = FakeRecogniser(calibration=FINE)
    run("gallery", "describe", gallery, "bob", "--group", "staff")
    with Gallery.open(gallery, recogniser) as opened:
        assert opened.identify(photo(1, 0, 0)).identity == "ada"
        found = opened.identify(photo(1, 0, 0), group="staff")
        assert found.outcome == "nobody"
        assert [each.identity for each in found.candidates] == ["bob"]
