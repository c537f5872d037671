from __future__ import annotations

import errno
import resource

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from mfr import tensor_file
from mfr.errors import WriteError
from mfr.tensor_file import write_tensors


@pytest.fixture
def small_files():
    """No file may grow beyond 4096 bytes; the operating system refuses the rest."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_written_comes_back(tmp_path):
    write_tensors(tmp_path / "a" / "t.safetensors", {"w": torch.arange(3.0)}, {"of": "a test"})
    assert torch.equal(load_file(tmp_path / "a/t.safetensors")["w"], torch.arange(3.0))


def test_a_refusal_in_the_midst_of_writing_keeps_the_old_file(tmp_path, small_files):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"w": torch.ones(2)}, {})
    before = path.read_bytes()
    with pytest.raises(WriteError, match=r"Cannot write .*t\.safetensors \(File too large\)"):
        write_tensors(path, {"w": torch.ones(5000)}, {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_whoever_finds_it(tmp_path, monkeypatch):
    path = tmp_path / "t.safetensors"
    for error in (
        OSError(errno.ENOSPC, "full"),
        SafetensorError("Error while serializing: I/O error: No space left (os error 28)"),
    ):

        def full(*_, error=error, **__):
            raise error

        monkeypatch.setattr(tensor_file, "save_file", full)
        with pytest.raises(WriteError, match="No space left"):
            write_tensors(path, {"w": torch.ones(1)}, {})
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_is_not_the_disks_stays_what_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="share memory"):
        write_tensors(tmp_path / "t", {"a": (one := torch.ones(2)), "b": one}, {})
