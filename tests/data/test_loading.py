import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mfr.data.loading import CropStore, StepLoader, load_crops, telling_of_killed_workers
from mfr.errors import DataError
from tests.datasets import write_dataset


def test_memory_and_disk_give_the_same_crops_in_row_order(tmp_path):
    manifest = write_dataset(tmp_path, {"a": 3, "b": 2})
    crops = load_crops(manifest)
    for path, crop in zip(manifest.crop_paths(), crops, strict=True):
        assert (np.asarray(Image.open(path)) == crop).all()
    rows = np.array([4, 0, 4])
    assert (CropStore(manifest, 2**30)[rows] == crops[rows]).all()
    assert (CropStore(manifest, 0)[rows] == crops[rows]).all()


def test_a_missing_or_misshapen_crop_is_named(tmp_path):
    manifest = write_dataset(tmp_path, {"a": 2})
    path = manifest.crop_paths()[1]
    Image.new("RGB", (96, 112)).save(path)
    with pytest.raises(DataError, match=f"{path} is 96x112"):
        load_crops(manifest)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        load_crops(manifest)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_steps_come_in_order_whatever_the_workers(workers):
    def prepare(step):
        return [(torch.full((2,), step), torch.tensor([step * 10]))]

    steps = list(StepLoader(prepare, workers).steps(3, 8))
    assert [int(one[0][0][0]) for one in steps] == [3, 4, 5, 6, 7]
    assert [int(one[0][1]) for one in steps] == [30, 40, 50, 60, 70]


@pytest.mark.slow
def test_workers_leave_signals_to_the_trainer_and_die_with_it():
    # A trainer whose group is sent SIGTERM gets its step; killed, it leaves no worker behind.
    script = textwrap.dedent("""
        import os, signal, torch
        from mfr.data.loading import StepLoader
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        steps = StepLoader(lambda step: torch.tensor([os.getpid(), step]), 1).steps(0, 9)
        worker = int(next(steps)[0])
        os.killpg(0, signal.SIGTERM)
        print(worker, int(next(steps)[1]), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, start_new_session=True
    )
    worker, step = map(int, done.stdout.split())
    assert step == 1
    deadline = time.monotonic() + 4  # torch's own watch takes five seconds
    while running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers", [0, 1])
def test_a_workers_error_is_the_users_sentence_alone(workers):
    def prepare(step):
        if step == 1:
            raise DataError("the crop is gone")
        return step

    steps = StepLoader(prepare, workers).steps(0, 3)
    assert next(steps) == 0
    with pytest.raises(DataError) as told:
        next(steps)
    assert str(told.value) == "the crop is gone"


@pytest.mark.slow
def test_a_workers_mistake_keeps_its_traceback():
    def prepare(step):
        raise ValueError("no step")

    with pytest.raises(ValueError, match="no step") as told:
        list(StepLoader(prepare, 1).steps(0, 2))
    assert "Traceback" in str(told.value)
    del told
    gc.collect()  # torch waits five seconds for such a worker: here, not in a test after this one


@pytest.mark.slow
def test_the_processes_start_before_the_first_step_is_asked_for():
    # Training exchanges weights in between, and threads that this starts may hold locks at a fork.
    parent = os.getpid()

    def children():
        task = Path(f"/proc/{parent}/task/{threading.get_native_id()}/children")
        return set(task.read_text().split())

    before = children()
    steps = StepLoader(lambda step: torch.tensor(step), 2).steps(0, 2)
    assert len(children() - before) == 2
    assert [int(step) for step in steps] == [0, 1]


@pytest.mark.slow
def test_a_killed_worker_is_told_in_one_sentence():
    steps = StepLoader(lambda step: torch.tensor(os.getpid()), 1).steps(0, 1000)
    with (
        pytest.raises(DataError, match=r"in the background was killed.*resume the run"),
        telling_of_killed_workers(),
    ):
        os.kill(int(next(steps)), signal.SIGKILL)
        for _ in steps:
            pass
