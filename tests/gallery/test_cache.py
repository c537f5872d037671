"""The cache file of the index: used when it is sound, and never missed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mfr.errors import WriteError
from mfr.gallery import Gallery
from mfr.gallery.cache import cached_stamp, read_cache
from mfr.gallery.gallery import INDEX_FILE_NAME
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.gallery.store import open_store
from tests.gallery.fake_recogniser import FakeRecogniser, photo


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
        lambda file: file.write_bytes(file.read_bytes() + b"x"),
        lambda file: file.write_bytes(
            file.read_bytes().replace(b'"templates": 3', b'"templates": 9')
        ),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-10]),
        lambda file: file.write_bytes(b"not an index"),
        lambda file: file.write_bytes(b"mfr-index-1\n[]\n"),
        lambda file: file.write_bytes(b"mfr-index-2\n[]\n"),
        lambda file: file.write_bytes(b'mfr-index-2\n{"stamp": "0-", "size": 3}\n'),
    ],
)
def test_a_missing_or_damaged_index_is_rebuilt(gallery: Gallery, path: Path, spoil) -> None:
    before = gallery.identify(photo(1, 2, 3))
    gallery.close()  # which ends the writing of the file
    spoil(path / INDEX_FILE_NAME)
    with Gallery.open(path, FakeRecogniser()) as reopened:
        assert reopened.identify(photo(1, 2, 3)) == before
    cached = read_cache(path / INDEX_FILE_NAME)
    assert cached is not None and cached.stamp == open_store(path).stamp


def test_a_good_index_is_used(gallery: Gallery, path: Path) -> None:
    gallery.identify(photo(1, 0, 0))
    gallery.close()
    index = path / INDEX_FILE_NAME
    was = index.stat().st_ino  # an atomic rewrite would make a new file
    with Gallery.open(path, FakeRecogniser()) as reopened:
        assert len(reopened.identify(photo(1, 0, 0))) == 2
    assert index.stat().st_ino == was


def test_a_stale_index_is_rebuilt(gallery: Gallery, path: Path) -> None:
    gallery.identify(photo(1, 0, 0))
    with Gallery.open(path, FakeRecogniser()) as other:
        other.enroll("eve", [photo(0, 0, 1)])
        other.remove("ada")
    # Both an open gallery and a new one see what the other process changed.
    assert {match.identity for match in gallery.identify(photo(1, 0, 0))} == {"bob", "eve"}
    with Gallery.open(path, FakeRecogniser()) as new:
        assert {match.identity for match in new.identify(photo(1, 0, 0))} == {"bob", "eve"}


def test_a_restored_backup_does_not_meet_a_newer_index(gallery: Gallery, path: Path) -> None:
    gallery.close()
    backup = (path / FILE_NAME).read_bytes()
    with Gallery.open(path, FakeRecogniser()) as one:
        one.enroll("carl", [photo(0, 0, 1)])
        one.identify(photo(0, 0, 1))
    newer = cached_stamp(path / INDEX_FILE_NAME)
    (path / FILE_NAME).write_bytes(backup)
    with Gallery.open(path, FakeRecogniser()) as other:  # the same count of changes, another change
        other.enroll("dora", [photo(0, 0, 1)])
        assert newer is not None and newer.startswith("3-")
        assert open_store(path).stamp.startswith("3-")
        assert other.identify(photo(0, 0, 1), k=1)[0].identity == "dora"


def test_a_cache_that_cannot_be_written_does_not_fail_a_search(
    gallery: Gallery, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise WriteError("read-only")

    monkeypatch.setattr("mfr.atomic.replacing", fail)
    assert gallery.identify(photo(1, 0, 0))[0].identity == "ada"
    with pytest.raises(WriteError):
        gallery.rebuild()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_gallery_on_a_read_only_place_can_be_read(path: Path, gallery: Gallery) -> None:
    gallery.close()
    for directory in (path, *list(path.parents)[:3]):
        directory.chmod(0o755)
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
    print(gallery.identify(b"1 0 0")[0].identity)
    try:
        gallery.enroll("eve", [b"1 1 1"])
    except WriteError:
        print("cannot be written")
"""
