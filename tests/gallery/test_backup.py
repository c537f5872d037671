"""Copies of galleries in use: whole ones by a command, and files copied alone that say so."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfr import cli
from mfr.errors import (
    GalleryDamagedError,
    GalleryError,
    GalleryExistsError,
    GalleryMissingError,
    GalleryWarning,
)
from mfr.gallery import Gallery, back_up
from mfr.gallery.sqlite.files import FILE_NAME
from tests.gallery.fake_recogniser import FakeRecogniser, photo


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", GalleryWarning)
        yield


def _people(path: Path) -> set[str]:
    with Gallery.open(path, FakeRecogniser()) as gallery:
        assert gallery.rebuild() == sum(each.templates for each in gallery.list())
        return {each.identity for each in gallery.list()}


def test_a_backup_of_a_gallery_in_use_is_whole(gallery: Gallery, path: Path) -> None:
    gallery.enroll("eve", [photo(0, 0, 1)])
    assert cli.run(["gallery", "backup", str(path), str(path.with_name("copy"))]) == 0
    copy = path.with_name("copy")
    gallery.remove("ada")
    with _quietly():
        assert _people(copy) == {"ada", "bob", "eve"}
        assert _people(path) == {"bob", "eve"}
    assert copy.stat().st_mode & 0o777 == 0o700
    assert (copy / FILE_NAME).stat().st_mode & 0o777 == 0o600
    with Gallery.open(copy, FakeRecogniser()) as restored:
        assert restored.calibration == gallery.calibration
        assert restored.enroll("fay", [photo(0, -1, 0)]).added == (5,)


def test_backups_while_others_enrol_are_whole_states(gallery: Gallery, path: Path) -> None:
    done = threading.Event()

    def enroll() -> None:
        with Gallery.open(path, FakeRecogniser()) as other:
            for number in range(60):
                other.enroll(f"p{number}", [photo(1, number, 1)], anyway=True)
        done.set()

    thread = threading.Thread(target=enroll)
    thread.start()
    copies = []
    while not done.is_set() or not copies:
        copies.append(path.with_name(f"copy{len(copies)}"))
        back_up(path, copies[-1])
    thread.join()
    for copy in copies:
        with _quietly():
            people = _people(copy) - {"ada", "bob"}
        assert people == {f"p{number}" for number in range(len(people))}


def test_what_cannot_be_backed_up(gallery: Gallery, path: Path, tmp_path: Path) -> None:
    with pytest.raises(GalleryMissingError):
        back_up(tmp_path / "none", tmp_path / "copy")
    with pytest.raises(GalleryExistsError):
        back_up(path, path)
    with pytest.raises(GalleryError):
        back_up("postgresql://host/faces", tmp_path / "copy")
    gallery.close()
    data = bytearray((path / FILE_NAME).read_bytes())
    connection = sqlite3.connect(path / FILE_NAME)
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'templates'"
    ).fetchone()
    connection.close()
    data[(page - 1) * 4096 + 5 : (page - 1) * 4096 + 7] = b"\xff\xff"
    (path / FILE_NAME).write_bytes(data)
    with pytest.raises(GalleryDamagedError):
        back_up(path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert list(tmp_path.glob(".*")) == []


@pytest.fixture
def copied(gallery: Gallery, path: Path) -> Path:
    """A directory with the file of a gallery in use, which lacks eve."""
    gallery.enroll("eve", [photo(0, 0, 1)])
    (path.with_name("copy")).mkdir()
    shutil.copy(path / FILE_NAME, path.with_name("copy"))
    return path.with_name("copy")


def test_a_file_copied_while_in_use_warns_until_a_rebuild(copied: Path) -> None:
    for _ in range(2):
        with pytest.warns(GalleryWarning, match="copied without its log while it was in use"):
            opened = Gallery.open(copied, FakeRecogniser())
        with opened:
            assert "eve" not in {each.identity for each in opened.list()}
            opened.enroll("fay", [photo(0, -1, 0)])
    with pytest.warns(GalleryWarning), Gallery.open(copied) as opened:
        opened.rebuild()
    with _quietly():
        _people(copied)


def test_the_command_line_says_so_once(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["gallery", "list", str(copied)]) == 0
    assert capsys.readouterr().err.count("copied without its log") == 1


def test_a_gallery_that_was_closed_may_be_copied(gallery: Gallery, path: Path) -> None:
    gallery.close()
    (path.with_name("copy")).mkdir()
    shutil.copy(path / FILE_NAME, path.with_name("copy"))
    with _quietly():
        assert _people(path.with_name("copy")) == {"ada", "bob"}


_USE = """
import os, signal, sys
from mfr.gallery import Gallery
from tests.gallery.fake_recogniser import FakeRecogniser, photo
gallery = Gallery.open(sys.argv[1], FakeRecogniser())
gallery.enroll("eve", [photo(0, 0, 1)])
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("ending", ["killed", "without closing"])
@pytest.mark.slow
def test_other_ends_of_a_process_do_not_warn(gallery: Gallery, path: Path, ending: str) -> None:
    gallery.close()
    subprocess.run([sys.executable, "-c", _USE, path, ending], cwd=Path(__file__).parents[2])
    if ending == "killed":  # another process closes the file as it ends, unless a thread is at work
        assert (path / f"{FILE_NAME}-wal").exists()
    with _quietly():
        assert _people(path) == {"ada", "bob", "eve"}
        assert _people(path) == {"ada", "bob", "eve"}


def test_the_last_to_close_says_that_the_file_is_whole(gallery: Gallery, path: Path) -> None:
    reader = Gallery.open(path)
    gallery.enroll("eve", [photo(0, 0, 1)])
    gallery.close()
    reader.close()
    (path.with_name("copy")).mkdir()
    shutil.copy(path / FILE_NAME, path.with_name("copy"))
    with _quietly():
        assert _people(path.with_name("copy")) == {"ada", "bob", "eve"}


@pytest.mark.slow
def test_a_deleted_log_is_noticed(gallery: Gallery, path: Path) -> None:
    gallery.close()
    subprocess.run([sys.executable, "-c", _USE, path, "killed"], cwd=Path(__file__).parents[2])
    (path / f"{FILE_NAME}-wal").unlink()
    with pytest.warns(GalleryWarning, match="log was deleted"):
        Gallery.open(path).close()
