"""``mfr identify`` with a fake recogniser: one person, everybody in a photo, a folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mfr import cli
from mfr.errors import ImageError
from mfr.gallery import Gallery
from mfr.recogniser import Recogniser
from tests.gallery.fake_recogniser import FakeRecogniser, photo
from tests.gallery.test_group_photo import GroupRecogniser
from tests.gallery.test_judging import FINE


class Reading(GroupRecogniser):
    """Says of a photo that is no text what reading says of a broken one."""

    def embed_each(self, photos, *, face="main"):
        for path in photos:
            broken = Path(path).read_bytes() == b"broken"
            yield ImageError(f"{path} is broken.") if broken else self.embed_photo(path, face=face)


@pytest.fixture
def gallery(tmp_path, monkeypatch) -> str:
    faces = ((0, 0, 1), (0, 0.55, 1), (1, 0, 0))
    recogniser = Reading(calibration=FINE, faces=faces)
    monkeypatch.setattr(Recogniser, "load", lambda *_, **__: recogniser)
    with Gallery.create(tmp_path / "g", FakeRecogniser(calibration=FINE)) as made:
        made.enroll("ada", [photo(1, 0, 0)])
        made.enroll("=bob", [photo(0, 1, 0)])
    return str(tmp_path / "g")


@pytest.fixture
def folder(tmp_path) -> Path:
    contents = {"a.jpg": photo(1, 0.2, 0), "b/c.jpg": photo(0, 1, 0), "d.jpg": photo(0, 0, 1)}
    (tmp_path / "photos/b").mkdir(parents=True)
    for name, content in contents.items():
        (tmp_path / "photos" / name).write_bytes(content)
    return tmp_path / "photos"


@pytest.fixture
def group(tmp_path) -> str:
    Image.new("RGB", (400, 330), (30, 60, 90)).save(tmp_path / "group.png")
    return str(tmp_path / "group.png")


def identify(gallery: str, *words: object, code: int = 0) -> None:
    assert cli.run(["identify", gallery, *map(str, words), "--model", "m"]) == code


def test_every_face_of_a_photo_in_words_and_as_a_picture(gallery, group, tmp_path, capsys):
    # Two templates at 1%: 0.6 for a match, 0.5 for uncertainty; the second face has 0.48.
    drawn = tmp_path / "named.png"
    identify(gallery, group, "--face", "all", "--draw", drawn)
    out = capsys.readouterr().out
    rows = [line.replace("│", " ").split() for line in out.splitlines()]
    assert [row[1] for row in rows if row[:1] in (["1"], ["2"], ["3"])] == [
        "ada",
        "nobody",
        "nobody",
    ]
    assert f"{group} shows 1 match, 0 uncertain, 2 nobody, from left to right." in out
    assert out.count("Of strangers, the share taken for somebody: 0.002, measured on toys") == 1
    before, after = (np.asarray(Image.open(path)) for path in (group, drawn))
    assert after.shape == before.shape
    changed = (before != after).any(axis=(0, 2))
    # The three boxes begin at 80, 90 and 100.
    assert changed[80] and changed[90] and changed[100] and not changed[:79].any()


def test_every_face_of_a_photo_as_json(gallery, group, capsys):
    identify(gallery, group, "--face", "all", "--json", "--fpir", "0.05")
    answer = json.loads(capsys.readouterr().out)
    assert (answer["photo"], answer["picture"]) == (group, None)
    first, second, third = answer["faces"]
    assert first["box"] == [80.0, 1.0, 88.0, 9.3] and first["identity"] == "ada"
    assert first["measured"]["condition"] == "toys" and first["candidates"][0]["match"]
    assert (second["outcome"], second["candidates"][0]["identity"]) == ("uncertain", "=bob")
    assert third["outcome"] == "nobody"


def test_uncertain_is_said_with_a_question_mark(gallery, group, capsys):
    identify(gallery, group, "--face", "all", "--fpir", "0.05")
    assert "=bob?" in capsys.readouterr().out


def test_a_folder_as_a_table(gallery, folder, capsys):
    identify(gallery, folder)
    out, err = capsys.readouterr()
    who = [line.replace("│", " ").split()[1] for line in out.splitlines() if ".jpg" in line]
    assert who == ["ada", "=bob", "nobody"]
    assert "3 photos: 2 matches, 0 uncertain, 1 nobody, 0 refused." in out
    assert "identifying: 3 of 3" in err


def test_a_folder_as_csv_with_refused_photos(gallery, folder, tmp_path, capsys):
    (folder / "e.jpg").write_bytes(b"broken")
    answers = tmp_path / "answers.csv"
    identify(gallery, folder, "--csv", answers, code=1)
    out = capsys.readouterr().out
    assert f"Refused: {folder / 'e.jpg'} is broken." in out and "1 refused." in out
    assert "Nearest" not in out and f"The answers are in {answers}." in out
    with answers.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["photo"]).name for row in rows] == ["a.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert [row["outcome"] for row in rows] == ["match", "match", "nobody", "refused"]
    # A name that a spreadsheet program would take for a formula is guarded.
    assert [row["identity"] for row in rows] == ["ada", "'=bob", "", ""]
    assert float(rows[0]["score"]) == pytest.approx(1 / 1.04**0.5, abs=1e-6)
    assert (rows[0]["condition"], rows[0]["people"]) == ("toys", "500")
    assert float(rows[0]["fpir"]) == pytest.approx(0.002, rel=0.01)
    assert rows[3]["refused"] == f"{folder / 'e.jpg'} is broken." and rows[3]["score"] == ""


def test_a_folder_as_json(gallery, folder, capsys):
    (folder / "e.jpg").write_bytes(b"broken")
    identify(gallery, folder, "--json", code=1)
    answers = json.loads(capsys.readouterr().out)
    assert [each.get("identity") for each in answers] == ["ada", "=bob", None, None]
    assert answers[0]["refused"] is None and answers[3]["refused"].endswith("e.jpg is broken.")


def test_several_photos_are_still_one_person(gallery, folder, capsys):
    identify(gallery, folder / "a.jpg", folder / "d.jpg", "--threshold", "0.4", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["candidates"][0]["score"] == pytest.approx(0.5 / 1.04**0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{folder}", "{folder}/a.jpg"], "is a folder: name it alone"),
        (["{folder}", "--face", "all"], "--face all names the faces of one photo"),
        (["{group}", "{group}", "--face", "all"], "--face all names the faces of one photo"),
        (["{group}", "--csv", "x.csv"], "--csv writes the answers for a folder"),
        (["{group}", "--draw", "x.png"], "use it with --face all"),
        (["{group}", "--face", "all", "--draw", "x.gif"], "must be a .png or .jpg picture"),
        (["{group}", "--face", "all", "--draw", "{group}"], "would replace the photo itself"),
    ],
)
def test_what_does_not_go_together(gallery, folder, group, capsys, words, sentence):
    before = Path(group).read_bytes()
    identify(gallery, *[word.format(folder=folder, group=group) for word in words], code=2)
    out, err = capsys.readouterr()
    assert sentence in err and err.count("\n") == 1 and out == ""
    assert Path(group).read_bytes() == before
