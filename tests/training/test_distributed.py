"""Two processes against one: the same gradients, each task and episode seen once."""

import os
import subprocess
import sys
import textwrap

import pytest
import torch
from safetensors.torch import load_file, save_file

from mfr.errors import DataError, TrainingError
from mfr.training.distributed import Processes, processes
from tests.training.shared_steps import CASES, STEPS, TASKS, run
from tests.training.two_processes import environment_of, in_two_processes


def share_steps(group, out):
    for case in CASES:
        save_file(run(case, group), out / f"{case}-{group.rank}.safetensors")


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    out = tmp_path_factory.mktemp("processes")
    assert in_two_processes(share_steps, out) == [None, None]
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


def talk(group):
    tensors = [torch.full((2,), 1.0 + group.rank), torch.tensor(5 + group.rank)]
    group.average(tensors)
    shared = torch.tensor([7 + group.rank])
    group.broadcast([shared])
    values = [one.tolist() for one in (*tensors, shared)]
    return values, [group.any(False), group.any(group.rank == 1)]


def test_processes_talk():
    assert in_two_processes(talk) == [([[1.5, 1.5], 5, [7]], [False, True])] * 2


def fail(group, ranks):
    group.any(False)
    if group.rank in ranks:
        raise DataError("a crop is gone")
    group.all_reduce(torch.ones(3))


def die(group):
    group.any(False)
    if group.rank == 1:
        os._exit(9)
    group.all_reduce(torch.ones(3))


def test_processes_fail_together_and_one_says_why():
    assert in_two_processes(fail, [0]) == ["DataError", "ProcessFailedError"]
    assert in_two_processes(fail, [1]) == ["ProcessFailedError", "DataError"]
    assert in_two_processes(fail, [0, 1]) == ["DataError", "ProcessFailedError"]


def test_a_process_that_dies_is_missed():
    assert in_two_processes(die) == ["ProcessLostError", "death"]


def test_a_group_that_is_left_leaves_no_threads():
    # Threads of gloo that outlive the group abort the process now and then when Python ends.
    script = textwrap.dedent("""
        from pathlib import Path
        import torch
        from mfr.training.distributed import processes

        def gloo():
            names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
            return [name for name in names if "gloo" in name]

        with processes() as group:
            import torch._dynamo  # as an optimiser's first step does
            during = gloo()
        print(len(during) > 0, gloo())
    """)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment_of(0, 1)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "True []\n", done.stderr


def test_alone_nothing_is_waited_for(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with processes() as group:
        assert (group.rank, group.size) == (0, 1)
        tensor = torch.ones(2)
        group.all_reduce(tensor)
        group.broadcast([tensor])
        group.average([tensor])
        assert group.is_main and group.any(True) and not group.any(False)
        assert group.device("cuda:1") == "cuda:1"
        assert tensor.tolist() == [1.0, 1.0]
        assert not torch.distributed.is_initialized()


def test_each_of_several_processes_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert Processes(rank=5, size=8, local_rank=1).device("cuda") == "cuda:1"
    assert chosen == [1]
    assert Processes(rank=6, size=8, local_rank=2).device("cpu") == "cpu"
    with pytest.raises(TrainingError, match=r"2 GPU\(s\), process 2 finds none"):
        Processes(rank=6, size=8, local_rank=2).device("cuda")


def test_half_an_environment_is_refused(monkeypatch):
    for name in ("WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(TrainingError, match=r"WORLD_SIZE, LOCAL_RANK, .* torchrun"), processes():
        pass


def test_the_group_is_left_whatever_happens(monkeypatch):
    for name, value in environment_of(0, 1).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(KeyError), processes() as group:
        assert group.size == 1 and torch.distributed.is_initialized()
        raise KeyError
    assert not torch.distributed.is_initialized()
