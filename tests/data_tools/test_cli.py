from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_tools.cli import app
from mfr.errors import DataError
from tests.data_tools.importing.packs.writers import (
    encoded,
    image_table,
    python2_pickle,
    tar_member,
    tar_of,
    write_arrow,
    write_rec,
)
from tests.datasets import write_dataset

runner = CliRunner()


def answer(*arguments: object) -> dict:
    result = runner.invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_whole_tour_in_json(tmp_path, make_photos, fake_detector):
    photos = make_photos({f"p{i}/{k}.png": int(i > 0) for i in range(10) for k in range(2)})
    root = tmp_path / "ds"
    imported = answer("import", "folder", photos, "--domain", "d", "--out", root)
    (domain,) = imported["domains"]
    assert (domain["domain"], domain["images"], domain["added"]) == ("d", 20, 20)
    aligned = answer("align", root, "--on-miss", "skip")
    assert aligned["domains"][0]["detected"] == 18 and len(aligned["problems"]) == 2
    split = answer("split", root, "--test", "0.3", "--val", "0.1", "--seed", "0")
    assert split["people"] == {"train": 6, "val": 1, "test": 3}
    inspected = answer("inspect", root)
    assert sum(part["people"] for part in inspected["parts"]) == 10
    assert Path(inspected["picture"]).is_file()


def test_a_table_is_whole_where_there_is_no_terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = "a_domain_with_a_name_of_some_length"
    write_dataset(tmp_path, {name: 3, "b": 2}, images=2)
    result = runner.invoke(app, ["inspect", str(tmp_path)], catch_exceptions=False)
    lines = [line.split() for line in result.output.splitlines()]
    assert ["domain", "split", "people", "images", "detected", "each"] in lines
    assert [name, "train", "3", "6", "6", "2"] in lines


def test_the_whole_tour_in_words(tmp_path, make_photos, fake_detector):
    photos = make_photos({"Ann/1.png": 1, "Ann/2.png": 0, "Ann/note.txt": 1})
    root = str(tmp_path / "ds")
    for arguments, words in [
        (["import", "folder", str(photos), "--domain", "d", "--out", root], "2 added"),
        (["inspect", root], "2 are not aligned yet"),
        (["align", root], "no face found"),
        (["split", root], "all people"),
        (["inspect", root], "Contact sheet"),
    ]:
        result = runner.invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0 and words in result.output


@pytest.mark.parametrize(
    "command",
    [
        *("import", "import folder", "import table", "import lfw", "import mfr2", "import rfw"),
        *("import bin", "import rec", "import webdataset", "import huggingface"),
        *("import nir-vis", "import ivs", "import meglass", "align", "split"),
        *("check", "cluster", "synth", "mask", "simulate", "inspect"),
    ],
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
        *(
            (["import", kind, "typo", "--domain", "d", "--out", "ds"], "There is no file typo")
            for kind in ("bin", "rec", "webdataset", "huggingface")
        ),
        (["import", "table", "typo.csv", "--out", "ds"], "cannot be read"),
        (["import", "mfr2", "typo", "--out", "ds"], "is not a folder"),
        (["import", "rfw", "typo", "--out", "ds"], "no 'data' and 'txts'"),
        (["import", "nir-vis", "typo", "--out", "ds"], "has no lists"),
        (["import", "meglass", "typo", "--out", "ds"], "cannot be read"),
        (
            ["import", "ivs", "typo", "--gallery", "g", "--probes", "p", "--out", "ds"],
            "cannot be read",
        ),
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


def test_names_in_the_help_are_those_there_are():
    from data_tools.cli import drawing
    from data_tools.synth.domains import DOMAINS

    assert tuple(DOMAINS) == drawing.DOMAINS


@pytest.mark.slow
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


def test_packs_of_every_kind_from_the_command_line(tmp_path):
    images = [(number // 2, encoded(number)) for number in range(20)]
    rec = write_rec(tmp_path / "casia", images)
    same = [pair % 2 == 0 for pair in range(10)]
    lfw, tar = tmp_path / "lfw.bin", tmp_path / "0.tar"
    lfw.write_bytes(python2_pickle([image for _, image in images], same))
    tar.write_bytes(tar_of(tar_member("0.jpg", b"no image"), tar_member("0.cls", b"x")))
    arrow = write_arrow(tmp_path / "0.arrow", image_table([encoded(0, size=(99, 99))], [0]))
    for kind, pack, words in [
        ("bin", lfw, "Aligned crops: 20."),
        ("bin", lfw, "0 added, 20 already there"),
        ("rec", rec, "20 images of 10 identities (10 people); 20 added"),
        ("webdataset", tar, "Damaged images: 1. The manifest records which and why."),
        ("huggingface", arrow, "Photos to be aligned: 1. Run 'mfr data align' next."),
    ]:
        arguments = ["import", kind, pack, "--domain", kind, "--out", tmp_path / "ds"]
        result = runner.invoke(app, list(map(str, arguments)), catch_exceptions=False)
        assert result.exit_code == 0 and words in result.stdout, result.output
    assert (
        "Protocol bin"
        in runner.invoke(
            app, ["import", "bin", str(lfw), "--domain", "bin", "--out", str(tmp_path / "ds")]
        ).stdout
    )
    assert Path(answer("inspect", tmp_path / "ds")["picture"]).is_file()
    answered = answer("import", "rec", rec, "--domain", "rec", "--out", tmp_path / "ds")
    assert (answered["crops"], answered["domains"][0]["added"]) == (20, 0)
