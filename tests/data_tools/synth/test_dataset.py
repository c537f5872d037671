from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from threadpoolctl import threadpool_info
from typer.testing import CliRunner

from data_tools.cli import app
from data_tools.synth import dataset, truth
from data_tools.synth.dataset import synthesise
from data_tools.synth.domains import DOMAINS
from data_tools.synth.photograph import person, photograph
from mfr import atomic
from mfr.data.loading import load_crop
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, DataError, MfrError

SMALL = {"identities": 3, "images": 2, "processes": 1}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(dataset, "BLOCK", 2)


def digest(root: Path) -> dict[str, str]:
    """A hash of every image, and the rows of both tables."""
    files = {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*.png"))
    }
    files["manifest"] = str(Manifest.read(root).table.to_pylist())
    files["truth"] = str(pq.read_table(root / truth.FILE_NAME).to_pylist())
    return files


@pytest.mark.slow
def test_crops_manifest_and_truth_agree(tmp_path):
    result = synthesise(tmp_path, domains=["daylight", "nir"], seed=7, **SMALL)
    assert (result.drawn, result.images, result.domains) == (12, 12, ["daylight", "nir"])
    manifest = Manifest.read(tmp_path)
    assert len(manifest) == 12 and set(manifest.column("alignment")) == {"given"}
    assert manifest.column("path") == manifest.column("crop")
    assert manifest.column("person") == manifest.column("identity")
    assert len(set(manifest.column("person"))) == 3
    rows = pq.read_table(tmp_path / truth.FILE_NAME).to_pylist()
    assert [row["path"] for row in rows] == manifest.column("path")
    for row, marks in zip(rows, manifest.column("landmarks"), strict=True):
        taken = photograph(person(7, row["number"]), DOMAINS[row["domain"]], row["image"])
        assert np.array_equal(load_crop(tmp_path / row["path"]), taken.image)
        assert np.allclose(taken.landmarks.ravel(), row["landmarks"], atol=1e-4)
        assert marks == row["landmarks"]
        assert row["yaw"] == pytest.approx(np.degrees(taken.scene.yaw), abs=1e-3)
        assert row["visible"] == taken.visible.tolist()


@pytest.mark.slow
def test_a_second_run_draws_nothing_and_another_domain_is_added(tmp_path):
    synthesise(tmp_path / "a", domains=["daylight"], **SMALL)
    before = digest(tmp_path / "a")
    assert synthesise(tmp_path / "a", domains=["daylight"], **SMALL).drawn == 0
    assert digest(tmp_path / "a") == before
    assert synthesise(tmp_path / "a", domains=["daylight", "sketch"], **SMALL).drawn == 6
    synthesise(tmp_path / "b", domains=["daylight", "sketch"], **SMALL)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_a_stopped_run_continues(tmp_path):
    synthesise(tmp_path / "whole", domains=["thermal"], **SMALL)

    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise(tmp_path / "torn", domains=["thermal"], on_progress=stop, **SMALL)
    rest = synthesise(tmp_path / "torn", domains=["thermal"], **SMALL)
    assert rest.drawn == 2  # the first block of two people was finished before
    assert digest(tmp_path / "torn") == digest(tmp_path / "whole")


def test_a_run_killed_between_the_tables_continues(tmp_path, monkeypatch):
    synthesise(tmp_path / "whole", domains=["thermal"], **SMALL)
    with monkeypatch.context() as patch:
        real = atomic.replacing

        def killed(path: Path) -> AbstractContextManager[Path]:
            if path.name == truth.FILE_NAME:
                raise KeyboardInterrupt
            return real(path)

        patch.setattr(atomic, "replacing", killed)
        with pytest.raises(KeyboardInterrupt):
            synthesise(tmp_path / "torn", domains=["thermal"], **SMALL)
    assert synthesise(tmp_path / "torn", domains=["thermal"], **SMALL).drawn == 0
    assert digest(tmp_path / "torn") == digest(tmp_path / "whole")


@pytest.mark.slow
def test_several_killed_processes_leave_what_one_process_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "BLOCK", 16)  # as in the other processes
    sizes = {"identities": 50, "images": 1, "domains": ["thermal"]}
    program = (
        "from data_tools.synth.dataset import synthesise\n"
        "if __name__ == '__main__':\n"
        f"    synthesise({str(tmp_path / 'killed')!r}, processes=2, **{sizes!r})\n"
    )
    script = tmp_path / "draw.py"
    script.write_text(program)
    running = subprocess.Popen([sys.executable, str(script)])
    until = time.monotonic() + 120
    whole = "killed/synth.parts/*/[!.]*.parquet"  # not one that is being written
    while not list(tmp_path.glob(whole)) and time.monotonic() < until:
        assert running.poll() is None
        time.sleep(0.02)
    running.kill()
    running.wait()
    assert not (tmp_path / "killed" / truth.FILE_NAME).exists()
    assert synthesise(tmp_path / "killed", processes=1, **sizes).drawn < 50
    synthesise(tmp_path / "one", processes=1, **sizes)
    assert digest(tmp_path / "killed") == digest(tmp_path / "one")


def test_photos_await_alignment(tmp_path):
    synthesise(tmp_path, identities=1, images=1, domains=["daylight"], photo_size=120, processes=1)
    manifest = Manifest.read(tmp_path)
    assert manifest.column("alignment") == ["pending"] and manifest.column("crop") == [None]
    assert manifest.photo_paths()[0].is_file()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"identities": 0}, "--identities 0"),
        ({"images": 0}, "--images 0"),
        ({"domains": []}, "No domain"),
        ({"domains": ["daylight", "daylight"]}, "twice"),
        ({"domains": ["moonlight"]}, "no synthetic domain 'moonlight'"),
        ({"seed": -1}, "--seed -1"),
        ({"photo_size": 20}, "--photo-size 20"),
        ({"processes": 0}, "--processes 0"),
    ],
)
def test_arguments_out_of_range_are_refused_before_anything_is_written(tmp_path, changed, words):
    with pytest.raises(ConfigError, match=words):
        synthesise(tmp_path / "ds", **{**SMALL, "domains": ["nir"], **changed})
    assert not (tmp_path / "ds").exists()


def test_another_world_or_other_photos_are_refused(tmp_path):
    synthesise(tmp_path / "a", domains=["thermal"], **SMALL)
    with pytest.raises(DataError, match="with seed 0, not 1"):
        synthesise(tmp_path / "a", domains=["nir"], seed=1, **SMALL)
    row = {"path": "x.jpg", "identity": "ann", "person": "ann", "domain": "nir"}
    Manifest.empty(tmp_path / "b").append([row]).write()
    with pytest.raises(DataError, match="other photos in the domain 'nir'"):
        synthesise(tmp_path / "b", domains=["nir"], **SMALL)
    synthesise(tmp_path / "b", domains=["thermal"], **SMALL)
    assert Manifest.read(tmp_path / "b").domains == ["nir", "thermal"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MfrError, match="choose a place"):
        synthesise(tmp_path / "file" / "ds", domains=["nir"], **SMALL)


def test_from_the_command_line(tmp_path):
    arguments = ["synth", "--out", tmp_path, "--identities", 2, "--images", 1, "--processes", 1]
    arguments += ["--domains", "nir, id_card", "--json"]
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0 and json.loads(result.stdout)["images"] == 4


def test_drawing_uses_one_thread_of_the_linear_algebra(tmp_path):
    seen = []

    def look(done: int, total: int) -> None:
        if done:
            seen.extend(
                one["num_threads"] for one in threadpool_info() if "blas" in one["user_api"]
            )

    synthesise(tmp_path, domains=["thermal"], on_progress=look, **SMALL)
    assert seen and set(seen) == {1}
