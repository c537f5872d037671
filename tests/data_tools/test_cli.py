from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_tools.cli import app
from mfr.errors import DataError

runner = CliRunner()


def answer(*arguments: object) -> dict:
    result = runner.invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_whole_tour_in_json(tmp_path, make_photos, fake_detector):
    photos = make_photos({f"p{i}/{k}.png": int(i > 0) for i in range(10) for k in range(2)})
    root = tmp_path / "ds"
    imported = answer("import", "folder", photos, "--domain", "d", "--out", root)
    assert (imported["images"], imported["added"]) == (20, 20)
    aligned = answer("align", root, "--on-miss", "skip")
    assert aligned["domains"][0]["detected"] == 18 and len(aligned["problems"]) == 2
    split = answer("split", root, "--test", "0.3", "--val", "0.1", "--seed", "0")
    assert split["people"] == {"train": 6, "val": 1, "test": 3}
    inspected = answer("inspect", root)
    assert sum(part["people"] for part in inspected["parts"]) == 10
    assert Path(inspected["picture"]).is_file()


def test_the_whole_tour_in_words(tmp_path, make_photos, fake_detector):
    photos = make_photos({"Ann/1.png": 1, "Ann/2.png": 0, "Ann/note.txt": 1})
    root = str(tmp_path / "ds")
    for arguments, words in [
        (["import", "folder", str(photos), "--domain", "d", "--out", root], "2 added"),
        (["inspect", root], "No crops yet"),
        (["align", root], "no face found"),
        (["split", root], "all people"),
        (["inspect", root], "Contact sheet"),
    ]:
        result = runner.invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0 and words in result.output


@pytest.mark.parametrize(
    "command",
    ["import", "import folder", "import lfw", "align", "mask", "simulate", "split", "inspect"],
)
def test_every_command_explains_itself(command):
    result = runner.invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0 and "Usage" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["align", "typo"], "is not a dataset"),
        (["split", "typo"], "is not a dataset"),
        (["inspect", "typo"], "is not a dataset"),
        (["import", "folder", "typo", "--domain", "d", "--out", "ds"], "is not a folder"),
        (["import", "lfw", "typo", "--out", "ds"], "is not a folder"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, arguments)
    assert isinstance(result.exception, DataError) and words in str(result.exception)
    assert result.stdout == "" and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["align", "ds", "--on-miss", "guess"],
        ["align", "ds", "--face", "prettiest"],
        ["split", "ds", "--seed", "x"],
        ["import", "folder", "photos", "--out", "ds"],
    ],
)
def test_impossible_options_exit_2(arguments):
    assert runner.invoke(app, arguments).exit_code == 2


def test_a_mistake_through_the_real_command_line(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", "from mfr.cli import main; main()", "data", "align", "typo"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 2 and run.stdout == ""
    assert "is not a dataset" in run.stderr and run.stderr.count("\n") == 1
