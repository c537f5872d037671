import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch

from mfr.data.step_loader import StepLoader
from mfr.errors import DataError


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
        from mfr.data.step_loader import StepLoader
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
    deadline = time.monotonic() + 4
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


def test_a_workers_mistake_keeps_its_traceback():
    def prepare(step):
        raise ValueError("no step")

    with pytest.raises(ValueError, match="no step") as told:
        list(StepLoader(prepare, 1).steps(0, 2))
    assert "in prepare" in str(told.value.__cause__)


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


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_is_told_in_one_sentence(workers):
    def prepare(step):
        if step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return step

    steps = StepLoader(prepare, workers).steps(0, 1000)
    with pytest.raises(DataError, match=r"in the background was killed.*resume the run"):
        list(steps)


@pytest.mark.slow
def test_a_worker_killed_at_any_moment_ends_the_run():
    for wait in np.linspace(0, 0.005, 30):
        steps = StepLoader(lambda step: os.getpid(), 2).steps(0, 10**6)
        worker = next(steps)
        time.sleep(wait)
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(DataError, match="was killed"):
            deque(steps, maxlen=0)


def test_no_process_outlives_the_iterator():
    steps = StepLoader(lambda step: os.getpid(), 1).steps(0, 1000)
    worker = next(steps)
    steps.close()
    assert not running(worker)


def test_tensors_of_every_kind_arrive_as_they_were():
    sent = {
        "crops": torch.arange(24, dtype=torch.uint8).reshape(2, 3, 4).permute(2, 0, 1),
        "labels": [torch.tensor(7), torch.empty(0, 5)],
        "rows": np.arange(3),
    }
    (got,) = StepLoader(lambda step: sent, 1).steps(0, 1)
    assert torch.equal(got["crops"], sent["crops"])
    assert got["crops"].dtype == torch.uint8
    assert torch.equal(got["labels"][0], sent["labels"][0])
    assert got["labels"][1].shape == (0, 5)
    assert (got["rows"] == sent["rows"]).all()
    got["crops"] += 1  # the trainer's own, to change
