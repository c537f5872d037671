from __future__ import annotations

import errno
import json
import os
import struct
import subprocess
import sys

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from mfr import tensor_file
from mfr.errors import ModelError, WriteError
from mfr.tensor_file import check_finite, is_sealed, read_tensors, sealed, write_tensors

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


def test_the_same_content_gives_the_same_bytes(tmp_path):
    tensors = {"w": torch.arange(3.0), "b": torch.ones(2, 2)}
    # The library would put these in another order in almost every file.
    metadata = {key: f'{key} of "ä" \u2028 \n' for key in "edcba"}
    paths = [tmp_path / f"{n}.safetensors" for n in range(8)]
    for path in paths:
        write_tensors(path, tensors, metadata)
    assert len({path.read_bytes() for path in paths}) == 1
    found, read = read_tensors(paths[0])
    assert found == metadata
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


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


TENSORS = {"w": torch.arange(6.0), "n": torch.tensor(3), "h": torch.ones(2, 3).bfloat16()}


@pytest.mark.slow
def test_a_seal_finds_every_flipped_bit(tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, TENSORS, sealed(TENSORS, {"of": "a test"}))
    whole = path.read_bytes()
    metadata, found = read_tensors(path)
    assert is_sealed(found, metadata)
    unnoticed = []
    for place in range(8 * len(whole)):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        try:
            metadata, found = read_tensors(path)
        except (SafetensorError, OSError):
            continue
        if is_sealed(found, metadata):
            unnoticed.append(place // 8)
    # White space after the header may become other white space: nothing that is read.
    assert all(whole[place] in b" \t\n" for place in unnoticed)


def test_a_seal_binds_metadata_names_types_and_shapes():
    seals = [
        sealed(tensors, metadata)["sha256"]
        for tensors, metadata in (
            (TENSORS, {"a": "b"}),
            (TENSORS, {"ab": ""}),
            (TENSORS, {"a": "c"}),
            ({**TENSORS, "w": torch.arange(6.0).reshape(2, 3)}, {"a": "b"}),
            ({**TENSORS, "w": torch.arange(6.0).view(torch.int32)}, {"a": "b"}),
            ({"v": TENSORS["w"]}, {"a": "b"}),
        )
    ]
    assert len(set(seals)) == 6
    assert not is_sealed(TENSORS, {"a": "b"})


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(OSError, match="no regular file"):
        read_tensors(tmp_path / "pipe.safetensors")
    with pytest.raises(OSError, match="no regular file"):
        read_tensors(tmp_path)


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F8_E4M3", "F8_E5M2", "F8_E8M0", "C64"])
def test_types_that_nothing_computes_with_are_told(tmp_path, dtype):
    count = {"F4": 16, "F6_E2M3": 8, "C64": 1}.get(dtype, 8)
    size = {"F6_E2M3": 6}.get(dtype, 8)
    header = {"w": {"dtype": dtype, "shape": [count], "data_offsets": [0, size]}}
    path = write_raw(tmp_path / "t.safetensors", json.dumps(header).encode(), b"\1" * size)
    with pytest.raises((ModelError, SafetensorError)):
        check_finite(path, read_tensors(path)[1])


def write_raw(path, header, data=b""):
    """A safetensors file with any header."""
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path
