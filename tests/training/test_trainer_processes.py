"""``mfr train`` in two processes: they make what one makes, and end together."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mfr.config import make_run_config
from mfr.encoder import Encoder
from mfr.errors import TrainingError
from mfr.training import checkpoint
from mfr.training.distributed import Processes
from mfr.training.run_log import read_log
from mfr.training.trainer import CHECKPOINTS_NAME, MODEL_NAME, resume, start
from tests.datasets import write_dataset
from tests.training.two_processes import mfr_in_two_processes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STEPS = 2
VALUES = {
    "sources": ["a", "b", "c"],
    "backbone": "mobilefacenet",
    "identities": 2,
    "first_order": True,
    "beta": 1e-6,  # a gradient's norm is some thousands here
    "steps": STEPS,
    "validate_every": 100,
    "checkpoint_every": 1,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    write_dataset(root, {"a": 10, "b": 10, "c": 9}, images=2)
    return root


def torchrun(*arguments):
    """Start ``torchrun --nproc-per-node 2 -m arguments``, on loopback and without GPUs."""
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")},
        **{"CUDA_VISIBLE_DEVICES": "", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
    }
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "--local-addr", "127.0.0.1", "-m", *map(str, arguments)),
        ],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def train(data, out, **values):
    """The command's arguments for a new run."""
    run_file = out.with_suffix(".toml")
    lines = {"data": str(data), **VALUES, **values}
    run_file.write_text("".join(f"{name} = {json.dumps(one)}\n" for name, one in lines.items()))
    return "train", "--config", run_file, "--out", out


def sentences(complaints):
    return [line for line in complaints.splitlines() if line.startswith("mfr: ")]


@pytest.fixture(scope="module")
def together(dataset, tmp_path_factory):
    """A run of two processes."""
    out = tmp_path_factory.mktemp("together") / "run"
    main, other = mfr_in_two_processes(*train(dataset, out))
    assert main[0] == 0 and f"Trained {STEPS} steps" in main[1], main
    assert other == (0, "", "")
    return out


@pytest.fixture(scope="module")
def stopped(dataset, tmp_path_factory):
    """A run of two processes of torchrun that Ctrl-C stopped in its first step."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    process = torchrun("mfr", *train(dataset, out))
    deadline = time.monotonic() + 240
    while not read_log(out):
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=240)
    assert process.returncode != 0
    assert "[rank" not in complaints, complaints  # how torch marks tracebacks
    own = sentences(complaints)
    assert len(own) == 1 and "and saved: continue with" in own[0]
    assert not (out / MODEL_NAME).exists()
    assert checkpoint.latest(out / CHECKPOINTS_NAME) == checkpoint_of(out, 1)
    return out


def checkpoint_of(out, step):
    return out / CHECKPOINTS_NAME / f"step-{step:08d}.safetensors"


def state(out, step):
    return checkpoint.read(checkpoint_of(out, step))


def assert_close(one, other):
    """The same parameters and momentum within 1e-6; running statistics are a mean of processes'."""
    assert one.optimiser.keys() == other.optimiser.keys()
    for place, momentum in one.optimiser.items():
        name = place.removeprefix("momentum_buffer/")
        torch.testing.assert_close(one.network[name], other.network[name], rtol=1e-6, atol=1e-6)
        scale = float(momentum.abs().max())
        torch.testing.assert_close(momentum, other.optimiser[place], rtol=1e-6, atol=1e-6 * scale)


def test_two_processes_learn_what_one_does(dataset, together, tmp_path):
    alone = tmp_path / "alone"
    start(make_run_config({"data": dataset, **VALUES, "steps": 1}), alone)
    assert_close(state(together, 1), state(alone, 1))
    begun, moved = state(alone, 0).network, state(alone, 1).network
    assert max(float((moved[name] - begun[name]).abs().max()) for name in begun) > 1e-4
    mine, theirs = (
        next(one for one in read_log(out) if one["kind"] == "train") for out in (together, alone)
    )
    for name, value in theirs.items():
        if name != "kind" and "second" not in name:
            assert mine[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name


def test_one_process_writes(together):
    steps = [(one["kind"], one["step"]) for one in read_log(together)]
    trained = [("train", step) for step in range(1, STEPS + 1)]
    assert steps == [("validation", 0), *trained, ("validation", STEPS), ("result", STEPS)]
    assert len(list(together.glob("events.out.tfevents*"))) == 1
    Encoder.load(together / MODEL_NAME)


def test_a_stopped_run_is_resumed_to_the_bit_and_by_one_process_too(stopped, together, tmp_path):
    alone = tmp_path / "alone"
    shutil.copytree(stopped, alone)
    resumed = mfr_in_two_processes("train", "--resume", "--out", stopped)
    assert [one[0] for one in resumed] == [0, 0], resumed
    one, other = state(stopped, STEPS), state(together, STEPS)
    for mine, theirs in ((one.network, other.network), (one.optimiser, other.optimiser)):
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert torch.equal(mine[name], theirs[name]), name
    assert resume(alone).model is not None
    assert_close(state(alone, STEPS), other)


def test_a_crop_that_is_gone_ends_all_processes_and_is_told_once(tmp_path):
    data = tmp_path / "data"
    manifest = write_dataset(data, {"a": 10, "b": 10, "c": 9}, images=2)
    for path in manifest.where(domains=["b"], splits=["train"]).crop_paths()[4:]:
        path.unlink()
    found = mfr_in_two_processes(*train(data, tmp_path / "run", steps=50, crop_memory=0))
    assert [code for code, _, _ in found] == [2, 2]
    (own,) = sentences("".join(complaints for _, _, complaints in found))
    assert "is missing or damaged" in own


def test_what_fails_in_all_processes_is_told_once(dataset, tmp_path):
    main, other = mfr_in_two_processes(*train(dataset, tmp_path / "run", method="mldg"))
    assert main[0] == 2 and "2 processes cannot share" in main[2]
    assert other == (2, "", "")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("method", "most"), [("mfr", 3), ("mldg", 1), ("agg", 1), ("triplet", 1)])
def test_more_processes_than_tasks_are_refused(dataset, tmp_path, method, most):
    config = make_run_config({"data": dataset, **VALUES, "method": method})
    with pytest.raises(TrainingError, match=f"start at most {most}"):
        start(config, tmp_path / "run", group=Processes(0, most + 1))
    assert not (tmp_path / "run").exists()
