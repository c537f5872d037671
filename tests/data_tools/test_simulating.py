from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from data_tools import simulating
from data_tools.cli import app
from data_tools.locking import simulating_alone
from data_tools.simulating import RECORD, simulate_domain
from data_tools.splitting import split_dataset
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, DataError, ImageError, MfrError
from mfr.geometry import TEMPLATE
from mfr.simulation.pose_in_crop import landmarks_in_crop
from tests.simulation.made_up_faces import landmarks, posed, skin

PHOTO = TEMPLATE * 2 + 30  # the landmarks in the photo
ROWS = {
    "ann/1": {"landmarks": PHOTO, "probability": 0.99},
    "ann/2": {"landmarks": landmarks(posed(yaw=70)) * 2, "probability": 0.99},
    "bob/1": {"landmarks": PHOTO, "probability": 0.5},
    "bob/2": {"landmarks": None, "alignment": "resized"},
    "bob/3": {"landmarks": PHOTO[[3, 4, 2, 0, 1]], "probability": 0.99},
    "cyd/1": {"landmarks": PHOTO + 3, "probability": None},
}


def add(root: Path, rows: dict[str, dict], domain: str = "d") -> None:
    exists = (root / "manifest.parquet").exists()
    manifest = Manifest.read(root) if exists else Manifest.empty(root)
    added = []
    for i, (name, fields) in enumerate(rows.items()):
        crop = f"crops/{domain}/{name}.png"
        (root / crop).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(skin(seed=i)).save(root / crop)
        given = fields.get("landmarks")
        flat = None if given is None else np.ravel(given).tolist()
        person = name.split("/")[0]
        row = {"path": f"../{domain}/{name}.jpg", "identity": person, "person": f"{person}!"}
        added.append(
            {
                **row,
                "domain": domain,
                "alignment": "detected",
                "crop": crop,
                **fields,
                "landmarks": flat,
            }
        )
    manifest.append(added).write()


@pytest.fixture
def root(tmp_path) -> Path:
    add(tmp_path / "ds", ROWS)
    return tmp_path / "ds"


def mask(root: Path, name: str = "d_masked", **options):
    return simulate_domain(root, source="d", name=name, condition="mask", processes=1, **options)


def files(root: Path, name: str = "d_masked") -> dict[str, bytes]:
    folder = root / "crops" / name
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


@pytest.mark.slow
def test_rows_crops_records_and_skips(root):
    split_dataset(root, test=0.34, val=0.33)
    result = mask(root)
    assert (result.images, result.drawn) == (2, 2)
    assert result.skipped == {
        "turned too far": 1,
        "doubtful detection": 1,
        "no landmarks": 1,
        "landmarks fit no face": 1,
    }
    manifest = Manifest.read(root)
    new, old = manifest.where(domains=["d_masked"]), manifest.where(domains=["d"])
    assert new.column("crop") == ["crops/d_masked/ann/1.png", "crops/d_masked/cyd/1.png"]
    assert new.column("path") == new.column("crop")
    assert set(new.column("alignment")) == {"given"}
    assert new.column("source")[0] == "mask on d, seed 0"
    for name in ("identity", "person", "split"):
        assert new.column(name) == [old.column(name)[0], old.column(name)[5]]
    # In the new crop, which is its own photo, the landmarks have the same places as in the old one.
    np.testing.assert_allclose(np.reshape(new.column("landmarks")[0], (5, 2)), TEMPLATE, atol=1e-3)
    records = pq.read_table(root / "simulated/d_masked.parquet")
    assert records.schema.names == RECORD.names and len(records) == 6
    for record in records.to_pylist():
        if record["crop"] is None:
            assert record["skipped"] and record["coverage"] is None
            continue
        before = np.asarray(Image.open(root / record["crop"].replace("d_masked", "d"))).astype(int)
        after = np.asarray(Image.open(root / record["crop"])).astype(int)
        changed = (np.abs(after - before).max(axis=2) > 12).mean()
        assert 0.15 < record["coverage"] < 0.75 and changed == pytest.approx(0.3, abs=0.2)
        assert abs(record["yaw"]) < 5
    assert result.coverage is not None and 0.15 < result.coverage["mean"] < 0.75
    assert not list((root / "simulated").glob("*.parts"))


def test_a_second_run_draws_nothing_and_then_what_is_new(root):
    mask(root)
    before, manifest = files(root), (root / "manifest.parquet").read_bytes()
    assert mask(root).drawn == 0
    assert files(root) == before and (root / "manifest.parquet").read_bytes() == manifest
    add(root, {"new/1": {"landmarks": PHOTO}})
    result = mask(root)
    assert (result.drawn, result.images) == (1, 3)
    assert {name: files(root)[name] for name in before} == before


@pytest.mark.slow
def test_the_bytes_depend_on_nothing_but_seed_condition_and_row(root, monkeypatch):
    mask(root)
    monkeypatch.setattr(simulating, "_UNIT", 1)
    simulate_domain(root, source="d", name="other", condition="mask", processes=2)
    assert files(root, "other") == files(root)
    mask(root, "seeded", seed=1)
    assert files(root, "seeded").keys() == files(root).keys()
    assert files(root, "seeded") != files(root)


def test_conditions_of_the_whole_picture_need_no_landmarks(root):
    result = simulate_domain(root, source="d", name="d_jpeg", condition="jpeg", processes=1)
    assert result.images == 6 and result.skipped == {} and result.coverage is None
    again = simulate_domain(root, source="d_jpeg", name="twice", condition="nir", processes=1)
    assert again.images == 6


def test_ctrl_c_keeps_what_was_done(root, monkeypatch):
    monkeypatch.setattr(simulating, "_UNIT", 1)

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mask(root, on_progress=interrupt)
    assert "d_masked" not in Manifest.read(root).domains
    progress = []
    mask(root, on_progress=lambda *step: progress.append(step))
    assert progress[0] == (0, 3)
    mask(root, "whole")
    assert files(root) == files(root, "whole")


SLOW = """
import sys, time
from data_tools import simulating
simulating._UNIT = 1
def slow(done, total):
    print(done, flush=True)
    time.sleep(0.2)
if __name__ == "__main__":
    simulating.simulate_domain(
        sys.argv[1], source="d", name="d_masked", condition="mask", processes=2,
        on_progress=slow,
    )
"""


@pytest.mark.slow
def test_kill_9_loses_nothing_and_leaves_no_process_behind(root, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    run = subprocess.Popen(
        [sys.executable, script, root],
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    assert run.stdout is not None
    for line in run.stdout:
        if int(line) >= 2:
            break
    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 10
    while True:  # its workers end too
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.stdout.close()
    progress = []
    result = mask(root, on_progress=lambda *step: progress.append(step))
    assert progress[0][1] <= 4 and result.images == 2
    mask(root, "whole")
    assert files(root) == files(root, "whole")


def test_a_hostile_manifest_cannot_write_elsewhere(root):
    manifest = Manifest.read(root)
    crops = manifest.column("crop")
    outside = root.parent / "evil.png"
    Image.fromarray(skin()).save(outside)
    crops[0], crops[5] = "../evil.png", str(outside)
    manifest.with_columns({"crop": crops}).write()
    mask(root)
    new = Manifest.read(root).where(domains=["d_masked"])
    for path in new.crop_paths():
        assert path.resolve().is_relative_to((root / "crops/d_masked").resolve())


def test_landmarks_are_moved_into_the_crop():
    row = {"path": "a.jpg", "crop": "a.png", "landmarks": PHOTO.ravel().tolist()}
    np.testing.assert_allclose(landmarks_in_crop(row), TEMPLATE, atol=1e-9)
    given = {"path": "a.png", "crop": "a.png", "landmarks": (TEMPLATE + 2).ravel().tolist()}
    np.testing.assert_allclose(landmarks_in_crop(given), TEMPLATE + 2)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"name": "../x"}, ConfigError, "cannot name a domain"),
        ({"name": "d"}, ConfigError, "is the domain it is made from"),
        ({"condition": "rain"}, ConfigError, "no condition 'rain': choose one of mask, glasses"),
        ({"seed": -1}, ConfigError, "--seed -1"),
        ({"processes": 0}, ConfigError, "--processes 0"),
        ({"source": "typo"}, DataError, "Unknown domain typo"),
    ],
)
def test_mistakes(root, options, error, words):
    usual = {"source": "d", "name": "new", "condition": "mask"}
    with pytest.raises(error, match=words):
        simulate_domain(root, **{**usual, **options})
    assert not (root / "simulated").exists()


def test_names_that_are_taken_and_domains_made_with_other_settings(root):
    add(root, {"eve/1": {"landmarks": PHOTO}}, domain="e")
    with pytest.raises(DataError, match="has a domain e already"):
        mask(root, "e")
    mask(root)
    with pytest.raises(DataError, match="begun with seed 0, not 1"):
        mask(root, seed=1)
    with pytest.raises(DataError, match="begun with condition mask, not nir"):
        simulate_domain(root, source="d", name="d_masked", condition="nir")


def test_a_crop_that_is_missing_damaged_or_of_another_size(root):
    crop = root / "crops/d/ann/1.png"
    Image.new("RGB", (96, 112)).save(crop)
    with pytest.raises(ImageError, match=r"ann/1\.png is not 112 x 112"):
        mask(root)
    crop.write_text("no picture")
    with pytest.raises(MfrError, match=r"ann/1\.png"):
        mask(root)
    crop.unlink()
    with pytest.raises(ImageError, match="There is no image"):
        mask(root)
    Image.fromarray(skin()).save(crop)
    assert mask(root).images == 2


def test_two_at_once(root):
    with simulating_alone(root), pytest.raises(DataError, match="Another simulation"):
        mask(root)


def test_the_command_line(root):
    runner = CliRunner()
    told = runner.invoke(
        app, ["mask", str(root), "--from", "d", "--as", "d_masked", "--processes", "1"]
    )
    assert told.exit_code == 0, told.output
    for words in (
        "d_masked: 2 crops, 2 of them",
        "turned too far 1",
        "Share of the face that is covered",
    ):
        assert words in told.stdout
    arguments = ["--from", "d", "--as", "d_nir", "--condition", "nir", "--json"]
    told = runner.invoke(app, ["simulate", str(root), *arguments])
    assert told.exit_code == 0 and '"images": 6' in told.stdout
    assert (
        runner.invoke(app, ["simulate", str(root), *arguments, "--condition", "fog"]).exit_code == 2
    )
