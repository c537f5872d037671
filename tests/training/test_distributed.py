"""Two processes of torchrun against one: the same gradients, each task and episode seen once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mfr.errors import TrainingError
from mfr.training.distributed import Processes, processes
from tests.training.distributed_worker import CASES, STEPS, TASKS, run

ROOT = Path(__file__).parents[2]


def launched(out):
    """The command's two processes, on this machine's loopback, without GPUs."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("--local-addr", "127.0.0.1", "-m", "tests.training.distributed_worker", str(out)),
    ]
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")},
        **{"CUDA_VISIBLE_DEVICES": "", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        "PYTHONFAULTHANDLER": "1",
    }
    # Once in some fifty launches PyTorch's own threads abort ("terminate called without an active
    # exception"); what is tested here is what the processes compute, so they get a second chance.
    for _ in range(2):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
        )
        if "terminate called without an active exception" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    out = tmp_path_factory.mktemp("processes")
    launched(out)
    return {
        case: [load_file(out / f"{case}-{rank}.safetensors") for rank in (0, 1)] for case in CASES
    }


@pytest.mark.parametrize("case", CASES)
def test_gradients_losses_and_parameters_are_those_of_one_process(two_processes, case):
    alone = run(case, Processes())
    names = [name for name in alone if name.startswith(("gradient/", "loss/", "end/"))]
    assert any(float(alone[name].abs().max()) > 0.01 for name in names if "gradient" in name)
    for together in two_processes[case]:
        assert together.keys() == alone.keys()
        for name in names:
            torch.testing.assert_close(together[name], alone[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_processes_end_with_the_same_bits(two_processes, case):
    one, other = two_processes[case]
    for name in one:
        if not name.startswith("seen/"):
            assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("case", CASES)
def test_each_task_is_seen_once(two_processes, case):
    alone = run(case, Processes())
    for step in range(STEPS):
        seen = [together[f"seen/{step}"] for together in two_processes[case]]
        assert all(len(part) for part in seen)
        found = torch.cat(seen).sort().values
        assert torch.equal(found, alone[f"seen/{step}"].sort().values)
        expected = int(case[-1]) if case.startswith("mfr") else TASKS
        assert len(found.unique()) == len(found) == expected


def test_alone_nothing_is_waited_for(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with processes() as group:
        assert (group.rank, group.size) == (0, 1)
        tensor = torch.ones(2)
        group.reduce(tensor)
        group.share([tensor])
        group.average([tensor])
        assert tensor.tolist() == [1.0, 1.0]
        assert not torch.distributed.is_initialized()


def test_half_an_environment_is_refused(monkeypatch):
    for name in ("WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(TrainingError, match=r"WORLD_SIZE, LOCAL_RANK, .* torchrun"), processes():
        pass


def test_the_group_is_left_whatever_happens(monkeypatch):
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(KeyError), processes() as group:
        assert group.size == 1 and torch.distributed.is_initialized()
        raise KeyError
    assert not torch.distributed.is_initialized()
