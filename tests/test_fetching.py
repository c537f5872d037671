import hashlib

import pytest

from mfr.errors import ModelError, WriteError
from mfr.fetching import KnownFile


@pytest.fixture
def known(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    published = tmp_path / "published.onnx"
    published.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    return KnownFile("kept.onnx", published.as_uri(), digest, "MIT", 0.1), published


def test_a_file_is_fetched_once(known):
    file, published = known
    assert file.find() is None
    assert file.fetch() == file.path and file.path.read_bytes() == b"weights"
    published.unlink()
    assert file.fetch() == file.find() == file.path


def test_another_file_than_was_expected_is_not_kept(known):
    file, published = known
    published.write_bytes(b"others")
    with pytest.raises(ModelError, match="is not the file that was expected"):
        file.fetch()
    assert list(published.parent.rglob("*")) == [published]  # nothing, and no folder for it


def test_a_file_that_was_altered_in_the_cache_is_refused(known):
    file, _ = known
    file.fetch().write_bytes(b"altered")
    with pytest.raises(ModelError, match="remove it and fetch it again"):
        file.find()


def test_what_cannot_be_fetched_is_told_with_another_way(known):
    file, published = known
    published.unlink()
    with pytest.raises(ModelError, match=r"could not be downloaded.*put it at .*kept\.onnx"):
        file.fetch()


def test_a_cache_that_cannot_be_written_is_told(known, tmp_path):
    file, _ = known
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(WriteError):
        file.fetch()
