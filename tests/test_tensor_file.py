from __future__ import annotations

import errno
import subprocess
import sys

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from mfr import tensor_file
from mfr.errors import WriteError
from mfr.tensor_file import write_tensors

WRITER = """
import resource, sys, torch
from mfr.errors import WriteError
from mfr.tensor_file import write_tensors
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_tensors(sys.argv[1], {"w": torch.ones(5000)}, {})
except WriteError as error:
    print(error)
"""
"""In a process of its own, in which no file may grow beyond 4096 bytes."""


def test_what_is_written_comes_back(tmp_path):
    write_tensors(tmp_path / "a" / "t.safetensors", {"w": torch.arange(3.0)}, {"of": "a test"})
    assert torch.equal(load_file(tmp_path / "a/t.safetensors")["w"], torch.arange(3.0))


@pytest.mark.slow
def test_a_refusal_in_the_midst_of_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"w": torch.ones(2)}, {})
    before = path.read_bytes()
    writer = subprocess.run(
        [sys.executable, "-c", WRITER, str(path)], capture_output=True, text=True, check=True
    )
    assert writer.stdout.startswith(f"Cannot write {path} (File too large)")
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
