"""Whose photos are to be enrolled: folders and tables, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfr.errors import DataError
from mfr.gallery.people_list import list_people


def _listed(source: Path) -> tuple[list[tuple[str, str]], list[str]]:
    photos, refused = list_people(source)
    return [(each.identity, each.path.name) for each in photos], [each.reason for each in refused]


def test_a_folder_of_folders(tmp_path: Path) -> None:
    for place in ("bob/2.JPG", "bob/1.png", "Zoe\u0308/z.jpg", "bob/notes.txt", ".trash/x.jpg"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(b"photo")
    (tmp_path / "bob" / ".hidden.jpg").write_bytes(b"")
    assert _listed(tmp_path) == ([("Zo\u00eb", "z.jpg"), ("bob", "1.png"), ("bob", "2.JPG")], [])


def test_photos_whose_person_cannot_be_told_are_refused_and_the_others_listed(
    tmp_path: Path,
) -> None:
    for place in ("alone.jpg", "bob/1.jpg", "bob/more/2.jpg", "a\u200bb/1.jpg"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(b"photo")
    photos, reasons = _listed(tmp_path)
    assert photos == [("bob", "1.jpg")]
    alone, hidden, folder = reasons
    assert "U+200B" in hidden and str(tmp_path / "a\u200bb" / "1.jpg") in hidden
    assert alone.startswith(f"{tmp_path / 'alone.jpg'} lies in no person's folder")
    assert folder.startswith(f"{tmp_path / 'bob' / 'more'} is a folder inside")


def test_a_table(tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text(
        "identity,path,note\nada,a/1.jpg,x\nbob,b.jpg,\nada,/abs/2.jpg,\n,c.jpg,\nada,,"
    )
    photos, refused = list_people(table)
    assert [(each.identity, str(each.path)) for each in photos] == [
        ("ada", str(tmp_path / "a/1.jpg")),
        ("ada", "/abs/2.jpg"),
        ("bob", str(tmp_path / "b.jpg")),
    ]
    assert [each.photo for each in refused] == [str(tmp_path / "c.jpg"), str(table)]
    assert "blank" in refused[0].reason and "no path in line 6" in refused[1].reason


def test_what_lists_nobody_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.csv").write_text("path;identity\n")
    for source, sentence in (
        ("empty", "lists no photos"),
        ("missing", "neither a folder"),
        ("x.csv", "semicolons"),
        ("missing.csv", "cannot be read"),
    ):
        with pytest.raises(DataError, match=sentence):
            list_people(tmp_path / source)
