import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mfr import atomic
from mfr.errors import WriteError


def test_a_write_replaces_the_old_bytes_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    atomic.write_text(path, "old")
    atomic.write_text(path, "nëw")
    assert path.read_bytes() == "nëw".encode()
    assert list(path.parent.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        atomic.write_bytes(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_inside_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic.replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_lies_beside_and_keeps_the_suffix(tmp_path):
    with atomic.replacing(tmp_path / "model.safetensors") as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".safetensors"


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    writer = atomic.replacing(tmp_path / "a.png")
    left = writer.__enter__()
    kept = [tmp_path / name for name in ("a.png", "b.tmp.png", ".hidden", ".tmp")]
    for path in kept:
        path.touch()
    atomic.remove_unfinished(tmp_path)
    assert not left.exists() and sorted(tmp_path.iterdir()) == sorted(kept)
    atomic.remove_unfinished(tmp_path / "nowhere")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(tmp_path, monkeypatch, code):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"No space left .* free some space"):
        atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_real_full_device(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with (
        pytest.raises(WriteError, match="No space left"),
        atomic.replacing(path),
        # Buffered, so that the error comes when the file is closed, as it does on a full disk.
        Path("/dev/full").open("w") as file,
    ):
        file.write("new")
    assert path.read_bytes() == b"old"


def test_a_parent_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    told = f"{tmp_path / 'file'} is a file, not a directory.: choose a place you can write to"
    for place in (tmp_path / "file" / "inside", tmp_path / "file" / "further" / "inside"):
        with pytest.raises(WriteError, match=told):
            atomic.write_bytes(place, b"x")
        with pytest.raises(WriteError, match=told):
            atomic.check_directory(place)
    atomic.check_directory(tmp_path / "new" / "inside")
    assert not (tmp_path / "new").exists()


WRITER = """
import sys, time
from pathlib import Path
import torch
from mfr import atomic, model_file, tensor_file
record = model_file.ModelRecord(backbone="mobilefacenet", embedding_size=4)
path = Path(sys.argv[1])
inner = tensor_file.save_file
def slow(tensors, temporary, metadata):
    inner(tensors, temporary, metadata=metadata)
    if sys.argv[2] == "half":
        data = Path(temporary).read_bytes()
        Path(temporary).write_bytes(data[: len(data) // 2])
    print("writing", flush=True)
    time.sleep(60)
tensor_file.save_file = slow
model_file.write_model(path, record, {"w": torch.full((1000,), 2.0)})
"""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["half", "whole"])
def test_kill_9_during_a_model_write_leaves_the_old_model(tmp_path, stage):
    import torch

    from mfr import model_file

    path = tmp_path / "model.safetensors"
    record = model_file.ModelRecord(backbone="mobilefacenet", embedding_size=4)
    model_file.write_model(path, record, {"w": torch.full((1000,), 1.0)})
    before = path.read_bytes()

    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), stage], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    assert len(list(tmp_path.iterdir())) == 2  # it was in the midst of it
    writer.send_signal(signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()

    assert path.read_bytes() == before
    _, tensors = model_file.read_model(path)
    assert torch.equal(tensors["w"], torch.full((1000,), 1.0))


HAMMER = """
import itertools, sys
from mfr import atomic
print("ready", flush=True)
for n in itertools.count():
    atomic.write_bytes(sys.argv[1], bytes([n % 256]) * 300_000)
"""


def test_kill_9_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    for delay in (0.0, 0.013, 0.031):
        writer = subprocess.Popen(
            [sys.executable, "-c", HAMMER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        while not path.exists():
            time.sleep(0.001)
        time.sleep(delay)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        data = path.read_bytes()
        assert len(data) == 300_000 and len(set(data)) == 1


def test_a_name_may_use_all_bytes_that_a_file_system_allows(tmp_path):
    path = tmp_path / ("é" * 125 + ".json")  # 255 bytes
    atomic.write_text(path, "{}")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_bulk_write_follows_no_link(tmp_path):
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(WriteError, match="link is a symbolic link"):
        atomic.write_unflushed(tmp_path / "link", b"new")
    assert (tmp_path / "there").read_bytes() == b"old"
