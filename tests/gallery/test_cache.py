"""The cache file of the index: used when it is sound, and never missed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mfr.errors import WriteError
from mfr.gallery import Gallery, cache_writer, searching
from mfr.gallery.cache import read_cache, write_cache
from mfr.gallery.cache_state import cached_stamp
from mfr.gallery.index import TemplateIndex
from mfr.gallery.searching import INDEX_FILE_NAME
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.gallery.store import open_store
from tests.gallery.fake_recogniser import FakeRecogniser, photo


def _cached(path: Path) -> TemplateIndex | None:
    """What the gallery's cache file holds, if it can be used."""
    with contextlib.closing(open_store(path)) as store:
        return read_cache(path / INDEX_FILE_NAME, store.secret)


def _corrupt(file: Path, place: int = -5) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 0xFF
    file.write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        _corrupt,
        lambda file: _corrupt(file, place=100),
        lambda file: file.write_bytes(file.read_bytes().replace(np.float32(1), np.float32(0.5))),
        lambda file: file.write_bytes(file.read_bytes() + b"x"),
        lambda file: file.write_bytes(
            file.read_bytes().replace(b'"templates": 3', b'"templates": 9')
        ),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-10]),
        lambda file: file.write_bytes(b"not an index"),
        lambda file: file.write_bytes(b"mfr-index-1\n[]\n"),
        lambda file: file.write_bytes(b"mfr-index-4\n[]\n"),
        lambda file: file.write_bytes(b'mfr-index-4\n{"stamp": "0-", "size": 3}\n'),
        lambda file: file.write_bytes(b"mfr-index-4\n" + b"[" * 4000 + b"]" * 90 + b"\n"),
        lambda file: (file.unlink(), os.mkfifo(file)),
        lambda file: (file.rename(file.with_name("else")), file.symlink_to("else")),
    ],
)
def test_a_missing_or_damaged_index_is_rebuilt(gallery: Gallery, path: Path, spoil) -> None:
    before = gallery.identify(photo(1, 2, 3))
    gallery.close()  # which ends the writing of the file
    spoil(path / INDEX_FILE_NAME)
    assert _cached(path) is None
    with Gallery.open(path, FakeRecogniser()) as reopened:
        assert reopened.identify(photo(1, 2, 3)) == before
    cached = _cached(path)
    assert cached is not None and cached.stamp == open_store(path).stamp


def test_a_good_index_is_used(gallery: Gallery, path: Path) -> None:
    gallery.identify(photo(1, 0, 0))
    gallery.close()
    index = path / INDEX_FILE_NAME
    was = index.stat().st_ino  # an atomic rewrite would make a new file
    with Gallery.open(path, FakeRecogniser()) as reopened:
        assert len(reopened.identify(photo(1, 0, 0)).candidates) == 2
    assert index.stat().st_ino == was


def test_a_stale_index_is_rebuilt(gallery: Gallery, path: Path) -> None:
    gallery.identify(photo(1, 0, 0))
    with Gallery.open(path, FakeRecogniser()) as other:
        other.enroll("eve", [photo(0, 0, 1)], anyway=True)
        other.remove("ada")
    # Both an open gallery and a new one see what the other process changed.
    assert {m.identity for m in gallery.identify(photo(1, 0, 0)).candidates} == {
        "bob",
        "eve",
    }
    with Gallery.open(path, FakeRecogniser()) as new:
        assert {m.identity for m in new.identify(photo(1, 0, 0)).candidates} == {
            "bob",
            "eve",
        }


def test_a_restored_backup_does_not_meet_a_newer_index(gallery: Gallery, path: Path) -> None:
    gallery.close()
    backup = (path / FILE_NAME).read_bytes()
    with Gallery.open(path, FakeRecogniser()) as one:
        one.enroll("carl", [photo(0, 0, 1)], anyway=True)
        one.identify(photo(0, 0, 1))
    newer = cached_stamp(path / INDEX_FILE_NAME)
    (path / FILE_NAME).write_bytes(backup)
    with Gallery.open(path, FakeRecogniser()) as other:  # the same count of changes, another change
        other.enroll("dora", [photo(0, 0, 1)], anyway=True)
        assert newer is not None and newer.startswith("3-")
        assert open_store(path).stamp.startswith("3-")
        assert other.identify(photo(0, 0, 1), k=1).candidates[0].identity == "dora"


def test_a_cache_that_cannot_be_written_does_not_fail_a_search(
    gallery: Gallery, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise WriteError("read-only")

    monkeypatch.setattr("mfr.atomic.replacing", fail)
    assert gallery.identify(photo(1, 0, 0)).candidates[0].identity == "ada"
    with pytest.raises(WriteError):
        gallery.rebuild()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
@pytest.mark.slow
def test_a_gallery_on_a_read_only_place_can_be_read(path: Path, gallery: Gallery) -> None:
    gallery.close()
    for directory in (path, *list(path.parents)[:3]):
        directory.chmod(0o755)
    (path / FILE_NAME).chmod(0o644)
    command = [sys.executable, "-c", READ_AS_NOBODY, str(path)]
    reader = subprocess.run(command, capture_output=True, text=True)
    assert (reader.returncode, reader.stdout) == (0, "ada\ncannot be written\n"), reader.stderr


# Everything is imported while that is still allowed; a fork of the tests' own process would do
# without, but the threads of FAISS and torch do not survive one.
READ_AS_NOBODY = """
import os, sys
import faiss
from mfr.errors import WriteError
from mfr.gallery import Gallery, following, sqlite
from tests.gallery.fake_recogniser import FakeRecogniser
os.setuid(65534)
with Gallery.open(sys.argv[1], FakeRecogniser()) as gallery:
    print(gallery.identify(b"1 0 0").candidates[0].identity)
    try:
        gallery.enroll("eve", [b"1 1 1"], anyway=True)
    except WriteError:
        print("cannot be written")
"""


# --- written in the background -------------------------------------------------------------------


def _crowd(gallery: Gallery, count: int) -> None:
    for number in range(count):
        gallery.enroll(f"p{number}", [photo(1, number, 1)], anyway=True)


def _wait_until(written: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not written():
        assert time.monotonic() < deadline, "the cache file was not written"
        time.sleep(0.01)


def _wait_for_stamp(path: Path, stamp: str) -> None:
    _wait_until(lambda: cached_stamp(path / INDEX_FILE_NAME) == stamp)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The background writer does not pause."""
    monkeypatch.setattr(cache_writer, "_PAUSE", 0.0)
    monkeypatch.setattr(cache_writer, "_IDLE_SHARE", 0)


def test_a_file_that_lacks_little_is_left(eager: None, gallery: Gallery, path: Path) -> None:
    _crowd(gallery, 40)
    gallery.identify(photo(1, 0, 0))
    stamp = open_store(path).stamp
    _wait_for_stamp(path, stamp)
    gallery.enroll("eve", [photo(1, 1, 1)], anyway=True)
    gallery.identify(photo(1, 0, 0))
    gallery.close()
    assert cached_stamp(path / INDEX_FILE_NAME) == stamp


def test_a_file_that_lacks_much_is_replaced(eager: None, gallery: Gallery, path: Path) -> None:
    _crowd(gallery, 40)
    gallery.identify(photo(1, 0, 0))
    for number in range(5):
        gallery.enroll(f"eve{number}", [photo(1, 1, number)], anyway=True)
        gallery.identify(photo(1, 0, 0))

    def holds_most() -> bool:
        cached = _cached(path)
        return cached is not None and len(cached) >= 46

    _wait_until(holds_most)


def test_a_file_with_a_removed_template_is_replaced(
    eager: None, gallery: Gallery, path: Path
) -> None:
    _crowd(gallery, 40)
    gallery.identify(photo(1, 0, 0))
    _wait_for_stamp(path, open_store(path).stamp)
    assert b'"ada"' in (path / INDEX_FILE_NAME).read_bytes()
    gallery.remove("ada")
    gallery.identify(photo(1, 0, 0))
    _wait_for_stamp(path, open_store(path).stamp)
    assert b'"ada"' not in (path / INDEX_FILE_NAME).read_bytes()


def test_closing_replaces_a_file_with_a_removed_template(gallery: Gallery, path: Path) -> None:
    gallery.identify(photo(1, 0, 0))
    gallery.close()
    with Gallery.open(path, FakeRecogniser()) as other:
        other.remove("ada")
    with Gallery.open(path, FakeRecogniser()) as other:
        other.identify(photo(1, 0, 0))
    cached = _cached(path)
    assert cached is not None and len(cached) == 2
    assert sorted(entry.name for entry in path.iterdir()) == [
        "gallery.lock",
        FILE_NAME,
        INDEX_FILE_NAME,
        "index.lock",
    ]


@pytest.mark.slow
def test_searches_do_not_wait_for_the_file(
    eager: None, gallery: Gallery, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(place: Path, index: TemplateIndex, secret: str) -> None:
        begun.set()
        assert go_on.wait(30)
        write_cache(place, index, secret)

    monkeypatch.setattr(cache_writer, "write_cache", slow)
    monkeypatch.setattr(searching, "BUSY_SECONDS", 0.1)  # a removal waits so long for the file
    gallery.identify(photo(1, 0, 0))
    assert begun.wait(10)
    gallery.enroll("eve", [photo(1, 1, 1)], anyway=True)
    gallery.remove("ada")
    assert {m.identity for m in gallery.identify(photo(1, 0, 0)).candidates} == {
        "bob",
        "eve",
    }
    assert not (path / INDEX_FILE_NAME).exists()
    go_on.set()
    _wait_for_stamp(path, open_store(path).stamp)  # what came meanwhile is written next


def test_a_written_index_is_read_as_it_was(tmp_path: Path, gallery: Gallery, path: Path) -> None:
    gallery.enroll("Zo\u00eb 山田", [photo(1, 2, 3)], anyway=True)
    store = open_store(path)
    index = TemplateIndex.build(store.snapshot())
    gallery.remove("ada")
    changes = store.changes(index.stamp)
    assert changes is not None
    index = index.changed(changes)  # with a removed template, which must not be written
    write_cache(tmp_path / "file", index, store.secret)
    read = read_cache(tmp_path / "file", store.secret)
    assert read is not None
    assert (read.stamp, read.size, len(read)) == (index.stamp, index.size, len(index))
    probes = np.eye(3, dtype=np.float32)
    assert read.best_identities(probes, 9) == index.best_identities(probes, 9)


def test_of_several_processes_one_writes_the_file(
    eager: None, gallery: Gallery, path: Path
) -> None:
    gallery.identify(photo(1, 0, 0))
    _wait_for_stamp(path, open_store(path).stamp)
    with Gallery.open(path, FakeRecogniser()) as other:
        other.identify(photo(1, 0, 0))
        gallery.remove("ada")
        gallery.identify(photo(1, 0, 0))
        _wait_for_stamp(path, open_store(path).stamp)
        written = (path / INDEX_FILE_NAME).stat().st_ino
        other.identify(photo(1, 0, 0))  # follows, and finds that the file has what it would write
    assert (path / INDEX_FILE_NAME).stat().st_ino == written
