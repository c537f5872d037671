"""The command line with a fake encoder: what is parsed, called and printed, and the exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mfr
from mfr import cli
from mfr.cli import root
from mfr.errors import ModelError
from mfr.gallery import Gallery
from mfr.recogniser import Recogniser
from tests.datasets import write_dataset
from tests.gallery.fake_recogniser import FakeRecogniser, photo


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model file whose content is its hash; '--backbone' is refused but for 'toy'."""

    def load(model: str, *, backbone: str | None, **_: object) -> FakeRecogniser:
        if backbone not in (None, "toy"):
            raise ModelError(f"There is no backbone '{backbone}'.")
        return FakeRecogniser(model_hash=Path(model).read_text())

    monkeypatch.setattr(Recogniser, "load", load)
    (tmp_path / "model").write_text("feed" * 4)
    return str(tmp_path / "model")


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, str]:
    vectors = {"a1": (1, 0, 0), "a2": (0.8, 0.6, 0), "b1": (0, 0, 1), "probe": (1, 0, 0.1)}
    for name, vector in vectors.items():
        (tmp_path / f"{name}.jpg").write_bytes(photo(*vector))
    return {name: str(tmp_path / f"{name}.jpg") for name in vectors}


@pytest.fixture
def gallery(tmp_path: Path, model: str, photos: dict[str, str]) -> str:
    path = str(tmp_path / "g")
    enroll = ["enroll", path, "ada", photos["a1"], photos["a2"], "--model", model]
    assert cli.run([*enroll, "--backbone", "toy"]) == 0
    assert cli.run(["enroll", path, "bob [b]", photos["b1"]]) == 0
    return path


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> object:
    capsys.readouterr()
    assert cli.run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def _refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mfr: ")
    assert err.count("\n") == 1
    return err


def test_a_pair_of_photos(
    capsys: pytest.CaptureFixture[str], model: str, photos: dict[str, str]
) -> None:
    answer = _json(capsys, "verify", photos["a1"], photos["a2"], "--model", model, "--fmr", "0.01")
    assert isinstance(answer, dict)
    assert len(answer.pop("quality")) == 2
    assert answer.pop("conditions") == [None, None]
    assert answer == {
        "match": True,
        "score": pytest.approx(0.8),
        "threshold": 0.5,
        "fmr": pytest.approx(0.01),
        "fnmr": None,
        "score_fmr": pytest.approx(10**-2.75),  # three quarters of the way from 0.5 to 0.9
        "measured": {
            "condition": "",
            "source": "toy",
            "people": 50,
            "comparisons": 1000,
            "fmr_interval": None,
            "lowest_fmr": 0.001,
        },
        "warnings": [],
    }
    assert cli.run(["verify", photos["a1"], photos["b1"], "--model", model]) == 0
    assert "show different people: score 0.0000 < threshold 0.9000" in capsys.readouterr().out
    assert "two photos" in _refused(capsys, "verify", photos["a1"], "--model", model)


def test_the_gallery_remembers_its_model(
    capsys: pytest.CaptureFixture[str], gallery: str, photos: dict[str, str], model: str
) -> None:
    answer = _json(capsys, "verify", gallery, "ada", photos["probe"])
    assert isinstance(answer, dict)
    assert answer["match"] is True
    found = _json(capsys, "identify", gallery, photos["probe"], "-k", "9", "--threshold", "0.5")
    assert isinstance(found, dict)
    assert [(one["identity"], one["match"]) for one in found["candidates"]] == [
        ("ada", True),
        ("bob [b]", False),
    ]
    assert cli.run(["identify", gallery, photos["probe"]]) == 0
    assert "bob [b]" in capsys.readouterr().out  # no markup is read into a name

    moved = Path(model).rename(Path(model).with_name("moved"))
    sentence = _refused(capsys, "identify", gallery, photos["probe"])
    assert model in sentence
    assert "pass --model" in sentence
    assert cli.run(["identify", gallery, photos["probe"], "--model", str(moved)]) == 0
    moved.write_text("another one")
    sentence = _refused(capsys, "identify", gallery, photos["probe"], "--model", str(moved))
    assert "another model" in sentence


def test_a_backbone_that_was_needed_is_remembered(
    gallery: str, photos: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load(model: str, *, backbone: str | None, **_: object) -> FakeRecogniser:
        asked.append(backbone)
        return FakeRecogniser(model_hash="feed" * 4)

    monkeypatch.setattr(Recogniser, "load", load)
    assert cli.run(["identify", gallery, photos["probe"]]) == 0
    assert asked == ["toy"]


def test_looking_after_a_gallery(
    capsys: pytest.CaptureFixture[str], gallery: str, photos: dict[str, str]
) -> None:
    people = _json(capsys, "gallery", "list", gallery)
    assert isinstance(people, list)
    assert [(one["identity"], one["templates"]) for one in people] == [("ada", 2), ("bob [b]", 1)]
    templates = _json(capsys, "gallery", "show", gallery, "ada")
    assert isinstance(templates, list)
    assert [one["source"] for one in templates] == [photos["a1"], photos["a2"]]
    first = str(templates[0]["id"])
    assert _json(capsys, "gallery", "remove", gallery, "ada", "--template", first) == {
        "identity": "ada",
        "removed": 1,
    }
    assert _json(capsys, "gallery", "search", gallery, "exact") == {
        "gallery": gallery,
        "search": "exact",
    }
    assert "two-stage" in _refused(capsys, "gallery", "search", gallery, "magic")
    assert _json(capsys, "gallery", "rebuild", gallery) == {"templates": 2}
    for command in ("list", "rebuild"):
        assert cli.run(["gallery", command, gallery]) == 0
    assert cli.run(["gallery", "show", gallery, "ada"]) == 0
    assert photos["a2"] in capsys.readouterr().out


def test_a_photo_enrolled_twice_is_said(
    capsys: pytest.CaptureFixture[str], gallery: str, photos: dict[str, str]
) -> None:
    capsys.readouterr()
    assert cli.run(["enroll", gallery, "ada", photos["a1"], photos["probe"]]) == 0
    out = capsys.readouterr().out
    assert "1 new template." in out
    assert f"{photos['a1']} was enrolled already" in out


def test_a_failed_enrolment_leaves_no_gallery(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: str, photos: dict[str, str]
) -> None:
    (tmp_path / "nobody.jpg").write_bytes(b" ")
    before = sorted(tmp_path.iterdir())
    arguments = ["enroll", str(tmp_path / "new"), "ada", photos["a1"], str(tmp_path / "nobody.jpg")]
    assert "nobody.jpg" in _refused(capsys, *arguments, "--model", model)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_calibrate_then_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from mfr.backbones import build_backbone
    from mfr.encoder import Encoder

    torch.manual_seed(0)
    start, model = str(tmp_path / "start.safetensors"), str(tmp_path / "calibrated.safetensors")
    Encoder.from_network(build_backbone("smallfacenet"), "smallfacenet").save(start)
    data = str(tmp_path / "data")
    write_dataset(Path(data), {"x": 12, "y": 12}, splits=("val", "test"))

    arguments = ["calibrate", start, "--data", data, "--domains", "x,y", "--out", model]
    answer = _json(capsys, *arguments)
    assert isinstance(answer, dict)
    (measured,) = answer["calibrations"]
    assert measured["people"] == 12
    assert Encoder.load(model).calibration is not None
    assert len(measured["fnmrs"]) == len(measured["thresholds"])
    assert cli.run([*arguments[:-1], str(tmp_path / "again.safetensors")]) == 0
    said = capsys.readouterr().out
    assert "Rightful people refused (FNMR)" in said and f"{measured['fnmrs'][0]:.2%}" in said

    arguments = ["benchmark", model, "--data", data, "--domain", "x,y", "--resamples", "20"]
    reports = _json(capsys, *arguments, "--out", str(tmp_path / "report"))
    assert isinstance(reports, list)
    assert [one["domain"] for one in reports] == ["x", "y"]
    assert all(Path(one["html"]).is_file() for one in reports)
    whole = json.loads(Path(reports[0]["json"]).read_text())
    assert whole["command"].startswith(f"mfr benchmark {model}")
    assert cli.run([*arguments, "--out", str(tmp_path / "report"), "--protocol", "all-pairs"]) == 0
    said = capsys.readouterr().out
    assert "The report is" in said and "Rightful people refused (FNMR)" in said
    # A table fits a terminal: what would make it wide stands below, once.
    assert max(len(line) for line in said.splitlines() if line.startswith("│")) <= 110
    told = "TAR at FMR 0.1%, TAR at FMR 0.01%: 135 non-mated comparisons cannot tell"
    assert said.count(told) == 2  # domains
    both = ["benchmark", start, model, "--data", data, "--domain", "x", "--resamples", "0"]
    answer = _json(capsys, *both, "--out", str(tmp_path / "both"))
    assert isinstance(answer, dict)
    assert [Path(one["html"]).parent.parent.name for one in answer["reports"]] == [
        "start",
        "calibrated",
    ]
    (area,) = [one for one in answer["differences"]["x"]["calibrated"] if one["key"] == "auc"]
    assert area["value"] == 0  # the same weights
    assert (tmp_path / "both/overview.html").is_file()
    arguments = ["benchmark", model, "--data", data, "--domain", "x", "--split", "val"]
    arguments += ["--resamples", "0", "--out", str(tmp_path / "seen")]
    assert "6 of the 6 people of domain x, split val" in _refused(capsys, *arguments)
    assert cli.run([*arguments, "--allow-seen"]) == 0
    assert capsys.readouterr().out.startswith("This model has seen 6 of the 6 people")
    told = _refused(capsys, "data", "split", data, "--test", "0.7", "--val", "0.1")
    assert "calibrated on 12 others" in told
    assert cli.run(["data", "split", data, "--test", "0.3", "--val", "0.6", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"]["val"] == 12


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--protocol", "mfr2", "--domain", "a"], "leave --domain out"),
        (["--protocol", "lfw", "--pairs", "p", "--domain", "a,b"], "one domain"),
        (["--pairs", "p"], "--protocol lfw"),
        ([], "--domain"),
        (["--domain", "a,,b"], "commas"),
        (["--domain", "a,a"], "commas"),
        (["m2", "--protocol", "mfr2"], "one at a time"),
        (["--protocol", "mfr2", "--gap-from", "a"], "--gap-from"),
    ],
)
def test_options_of_a_benchmark_that_do_not_go_together(
    capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    assert word in _refused(capsys, "benchmark", "m", "--data", "d", "--out", "o", *arguments)


def test_a_benchmark_is_refused_before_it_begins(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_dataset(tmp_path / "data", {"a": 2}, splits=("test",))
    (tmp_path / "file").touch()
    arguments = ["m", "--data", str(tmp_path / "data"), "--domain", "y,a,x", "--gap-from", "z"]
    told = _refused(capsys, "benchmark", *arguments, "--out", str(tmp_path / "o"))
    assert "Unknown domain x, y, z:" in told
    for command in ("benchmark", "benchmark-robustness", "benchmark-attacks"):
        place = str(tmp_path / "file" / "o")
        told = _refused(capsys, command, *arguments[:3], "--domain", "a", "--out", place)
        assert f"{tmp_path / 'file'} is a file, not a directory" in told
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_backbones(capsys: pytest.CaptureFixture[str]) -> None:
    rows = _json(capsys, "backbones")
    assert isinstance(rows, list)
    paper = next(row for row in rows if row["name"] == "mfr-resnet28")
    assert (paper["height"], paper["embedding_size"]) == (120, 256)
    # Guo et al., CVPR 2020, section 4.1: 4.64 M parameters, 128.7 MFLOPs.
    assert paper["parameters"] == pytest.approx(4.64e6, rel=0.01)
    assert paper["multiply_adds"] == pytest.approx(128.7e6, rel=0.01)
    assert cli.run(["backbones"]) == 0
    assert "mobilefacenet-112x96" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"mfr {mfr.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["verify"], ["identify", "g"], ["identify", "g", "p", "--face", "fourth"]],
)
def test_usage_errors_exit_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Usage" in err


def _commands(group: Any, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [prefix]
    for name in group.list_commands(None) if hasattr(group, "list_commands") else []:
        found += _commands(group.get_command(None, name), (*prefix, name))
    return found


@pytest.mark.slow
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    import typer.main

    commands = _commands(typer.main.get_command(root.app))
    assert {("data", "align"), ("gallery", "show"), ("train",)} <= set(commands)
    for command in commands:
        assert cli.run([*command, "--help"]) == 0
        assert "Usage" in capsys.readouterr().out


def test_help_does_not_wait_for_heavy_imports() -> None:
    code = (
        "import sys; from mfr import cli; assert cli.run(['--help']) == 0;"
        "heavy = {'torch', 'faiss', 'cv2', 'pyarrow', 'sklearn'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("many", [False, True])
def test_a_gallery_of_the_default_model_remembers_it(
    tmp_path: Path, photos: dict[str, str], monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    loaded: list[str] = []

    def load(model: str, **_: object) -> FakeRecogniser:
        loaded.append(model)
        return FakeRecogniser()

    monkeypatch.setattr(Recogniser, "load", load)
    (tmp_path / "people.csv").write_text(f"path,identity\n{photos['a1']},ada\n")
    whom = ["--from", str(tmp_path / "people.csv")] if many else ["ada", photos["a1"]]
    assert cli.run(["enroll", str(tmp_path / "g"), *whom]) == 0
    with Gallery.open(tmp_path / "g") as made:
        source = made.model_source()
    assert source is not None and source.model == "dlib-resnet"
    assert cli.run(["identify", str(tmp_path / "g"), photos["probe"]]) == 0
    assert cli.run(["enroll", str(tmp_path / "g"), "bob", photos["b1"]]) == 0
    assert loaded == ["dlib-resnet"] * 3


def test_models_are_listed_with_licence_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    rows = _json(capsys, "models")
    assert isinstance(rows, list)
    default = rows[0]
    assert (default["name"], default["default"], default["embedding_size"]) == (
        "dlib-resnet",
        True,
        128,
    )
    assert default["licence"].startswith("CC0") and Path(default["file"]).is_file()
    assert default["calibrated_for"][0] == "photographs"
    assert [row["default"] for row in rows[1:]] == [False] * 3
    drawn = next(row for row in rows if row["name"] == "drawn-faces")
    assert drawn["licence"] == "MIT" and "nobody exists" in drawn["trained_on"]
    assert Path(drawn["file"]).is_file()
    assert all(row["calibrated_for"] == [] for row in rows[1:])
    assert cli.run(["models"]) == 0


def test_the_exit_code_tells_yes_from_no_if_asked(model: str, photos: dict[str, str]) -> None:
    words = ["verify", photos["a1"], photos["b1"], "--model", model]
    assert cli.run(words) == 0
    assert cli.run([*words, "--exit-code"]) == 1
    assert cli.run(["verify", photos["a1"], photos["a1"], "--model", model, "--exit-code"]) == 0


def test_conditions_are_given_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["calibrate", "m", "--data", "d", "--out", "x.safetensors"]
    for wrong in ("photos", "=a", "photos=", "a,b=c"):
        assert "--condition" in _refused(capsys, *words, "--condition", wrong)
