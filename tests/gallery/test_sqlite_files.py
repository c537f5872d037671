"""Gallery directories and files: those that are no gallery, and trouble with the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mfr.errors import (
    GalleryError,
    GalleryExistsError,
    GalleryMissingError,
    WriteError,
)
from mfr.gallery import Gallery
from mfr.gallery.sqlite.files import FILE_NAME
from tests.gallery.fake_recogniser import FakeRecogniser, photo


def test_a_missing_gallery(tmp_path: Path) -> None:
    with pytest.raises(GalleryMissingError, match="not a gallery"):
        Gallery.open(tmp_path / "none", FakeRecogniser())
    assert list(tmp_path.iterdir()) == []
    with Gallery.open(tmp_path / "none", FakeRecogniser(), create=True) as made:
        made.enroll("ada", [photo(1, 0, 0)], anyway=True)
    with Gallery.open(tmp_path / "none", FakeRecogniser(), create=True) as again:
        assert len(again.list()) == 1


def test_create_takes_no_place_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name in ("file", "full"):
        with pytest.raises(GalleryExistsError):
            Gallery.create(tmp_path / name, FakeRecogniser())
        with pytest.raises(GalleryMissingError):
            Gallery.open(tmp_path / name, FakeRecogniser(), create=True)
    Gallery.create(tmp_path / "empty", FakeRecogniser()).close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["empty", "file", "full"]


def _foreign(file: Path) -> None:
    file.unlink()
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE songs (title)")
    connection.commit()
    connection.close()


def _newer(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 4")
    connection.commit()
    connection.close()


def _no_meta(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("DELETE FROM meta")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.write_bytes(b""), "not a gallery of this program"),
        (lambda file: file.write_bytes(b"plain text, and more of it" * 99), "damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:50]), "damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:5000]), "damaged"),
        (_foreign, "not a gallery of this program"),
        (_newer, "gallery format 4"),
        (_no_meta, "damaged"),
    ],
)
def test_a_spoilt_file_is_told(gallery: Gallery, path: Path, spoil, sentence: str) -> None:
    gallery.close()
    spoil(path / FILE_NAME)
    with (
        pytest.raises(GalleryError, match=sentence),
        Gallery.open(path, FakeRecogniser()) as opened,
    ):
        opened.list()
        opened.rebuild()


def test_a_full_disk_loses_nothing(gallery: Gallery, path: Path) -> None:
    # SQLite's own page limit gives the error a full disk gives, at the same place.
    connection = gallery._store._file._writer
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(WriteError, match="No space left"):
        for number in range(2000):
            gallery.enroll(f"p{number}", [photo(1, 1, number, note="x" * 900)], anyway=True)
    connection.execute("PRAGMA max_page_count = 1000000")
    gallery.rebuild()
    assert {"ada", "bob"} <= {summary.identity for summary in gallery.list()}
    gallery.enroll("eve", [photo(0, 0, 1)], anyway=True)
