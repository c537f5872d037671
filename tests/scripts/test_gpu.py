"""scripts/gpu.sh, on the CPU and tiny: it runs, stops, goes on and skips."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from scripts.lib.gpu_jobs import gpu_jobs
from scripts.reproduce import omniglot

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Made-up Omniglot where the jobs look for it, and the settings that make them tiny."""
    shared = tmp_path_factory.mktemp("shared")
    place = shared / "data" / "fewshot" / "omniglot28.npz"
    place.parent.mkdir(parents=True)
    characters = 1230
    images = np.random.default_rng(0).integers(0, 256, (characters, 12, 98), dtype=np.uint8)
    names = np.array([f"c{number}" for number in range(characters)])
    np.savez(place, images=images, alphabet=np.array(["a"] * characters), character=names)
    return {
        **os.environ,
        "MFR_SHARED": str(shared),
        "MFR_GPU_DEVICE": "cpu",
        "MFR_GPU_TINY": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHON": sys.executable,
    }


def gpu(environment, *arguments):
    return subprocess.run(
        [ROOT / "scripts" / "gpu.sh", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        cwd="/",
    )


def test_every_job_has_a_name_and_a_place_of_its_own(tmp_path):
    jobs = gpu_jobs(tmp_path, "cuda")
    assert len({job.name for job in jobs}) == len(jobs) >= 8
    assert all("--device" in job.command for job in jobs)
    assert all(job.command[job.command.index("--device") + 1] == "cuda" for job in jobs)
    assert not any("--iterations" in job.command for job in jobs)  # the papers'


def test_an_unknown_job_is_refused_and_the_list_is_told(environment, tmp_path):
    done = gpu(environment, 1, "omniglot-30way", "--out", tmp_path)
    assert done.returncode == 2
    assert "there is no job omniglot-30way: choose among omniglot-20way-1shot-maml" in done.stderr
    done = gpu(environment, 1, "--list", "--out", tmp_path)
    assert "meta-step-float32: waits" in done.stdout.splitlines()


SOME = ["omniglot-20way-1shot-reptile", "omniglot-20way-5shot-reptile", "meta-step-bfloat16"]


@pytest.mark.slow
def test_without_a_gpu_nothing_is_begun(environment, tmp_path):
    elsewhere = {**environment, "MFR_GPU_DEVICE": "cuda:7", "CUDA_VISIBLE_DEVICES": ""}
    done = gpu(elsewhere, 1, "--out", tmp_path)
    assert done.returncode == 2
    assert "The device 'cuda:7' cannot be used on this machine" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_jobs_run_within_minutes_and_once(environment, tmp_path):
    done = gpu(environment, 10, "--out", tmp_path, *SOME)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "3 of 3 jobs are done, 0 wait, 0 failed."
    results = [json.loads(path.read_text()) for path in tmp_path.glob("omniglot*/*.json")]
    assert [one["result"]["transductive"]["tasks"] for one in results] == [2, 2]
    # One training for both numbers of shots.
    assert len(list(tmp_path.glob("omniglot*/*.safetensors"))) == 1
    (page,) = tmp_path.glob("meta-step-bfloat16/*.md")
    assert page.read_text().count("| second order |") == 1
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    again = gpu(environment, 10, "--out", tmp_path, *SOME)
    assert again.stdout.count("done before") == 3
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before


@pytest.mark.slow
def test_a_job_cut_off_goes_on_to_the_result_of_one_that_was_not(
    environment, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("MFR_SHARED", environment["MFR_SHARED"])
    options = ["--learner", "maml", "--meta-batch", "1", "--iterations", "3", "--judge-every", "1"]
    options += ["--test-tasks", "2", "--curve-tasks", "2"]

    def run(out, *more):
        monkeypatch.setattr(sys, "argv", ["omniglot", *options, "--out", str(out), *more])
        try:
            omniglot.main()
        except SystemExit as ended:
            return ended.code
        return 0

    assert run(tmp_path / "whole") == 0
    codes = [run(tmp_path / "cut", "--stop-after", "1e-9") for _ in range(3)]
    assert codes == [75, 75, 0]
    records = [
        json.loads(next((tmp_path / name).glob("*.json")).read_text()) for name in ("whole", "cut")
    ]
    assert records[0]["result"] == records[1]["result"]
    states = [load_file(next((tmp_path / name).glob("*.safetensors"))) for name in ("whole", "cut")]
    assert states[0].keys() == states[1].keys()
    assert all((states[0][name] == states[1][name]).all() for name in states[0])
