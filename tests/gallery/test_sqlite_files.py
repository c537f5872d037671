"""Gallery directories and files: those that are no gallery, and trouble with the disk."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from mfr.errors import (
    GalleryError,
    GalleryExistsError,
    GalleryMissingError,
    WriteError,
)
from mfr.gallery import Gallery, occupied
from mfr.gallery.sqlite import schema
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.gallery.store import open_store
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


def _in_the_present_directory(place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(place)
    return "."


def _behind_a_link(place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    place.with_name("link").symlink_to(place.name)
    return str(place.with_name("link"))


def _on_a_volume(place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A directory that cannot be renamed onto, on a file system that was just made."""
    rename = Path.replace

    def replace(source: Path, target: Path) -> Path:
        if target == place:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", replace)
    (place / "lost+found").mkdir()
    return str(place)


def _without_links(place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    return str(place)


def _beside_leavings(place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (place / ".gallery.0123456789abcdef.tmp.sqlite").touch()
    (place / ".gallery.0123456789abcdef.tmp.sqlite-wal").touch()
    return str(place)


@pytest.mark.parametrize(
    "prepare",
    [_in_the_present_directory, _behind_a_link, _on_a_volume, _without_links, _beside_leavings],
)
def test_a_directory_that_is_there_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare
) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o750)
    was = place.stat().st_ino
    location = prepare(place, monkeypatch)
    assert not occupied(location)
    with Gallery.open(location, FakeRecogniser(), create=True) as made:
        made.enroll("ada", [photo(1, 0, 0)])
        made.identify(photo(1, 0, 0))
    assert (place.stat().st_ino, place.stat().st_mode & 0o777) == (was, 0o750)
    assert (place / FILE_NAME).stat().st_mode & 0o777 == 0o600
    with Gallery.open(location) as again:
        assert len(again.list()) == 1
        again.rebuild()
    assert list(place.glob(".*")) == []  # nor is anything left behind
    with pytest.raises(GalleryExistsError):
        Gallery.create(location, FakeRecogniser())


@pytest.mark.parametrize("prepare", [lambda place, _: str(place), _without_links])
def test_of_two_who_make_a_gallery_in_a_directory_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare
) -> None:
    location = prepare(tmp_path, monkeypatch)
    write_empty = schema.write_empty

    def overtaken(path: Path, **values: object) -> None:
        monkeypatch.setattr(schema, "write_empty", write_empty)
        with Gallery.create(location, FakeRecogniser()) as other:
            other.enroll("ada", [photo(1, 0, 0)])
        write_empty(path, **values)

    monkeypatch.setattr(schema, "write_empty", overtaken)
    with Gallery.open(location, FakeRecogniser(), create=True) as gallery:
        assert [each.identity for each in gallery.list()] == ["ada"]


def _foreign(file: Path) -> None:
    file.unlink()
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE songs (title)")
    connection.commit()
    connection.close()


def _newer(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 6")
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
        (_newer, "gallery format 6"),
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


def test_a_directory_of_other_files_is_not_told_to_enroll_there(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(GalleryMissingError, match=r"directory of other files.*choose a new place"):
        open_store(tmp_path / "photos")
    with pytest.raises(GalleryMissingError, match="make one with 'mfr enroll"):
        open_store(tmp_path / "nothing")
