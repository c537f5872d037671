"""`mfr doctor`, `mfr models fetch`, and the options that stand before a command."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from mfr import cli
from mfr.errors import ModelError
from mfr.faces.yunet import weights
from mfr.fetching import KnownFile
from mfr.runtimes import measuring
from mfr.runtimes.choice import Choice, chosen
from mfr.runtimes.measuring import Measured


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # `mfr --runtime` sets them for the process.
    for variable in ("MFR_RUNTIME", "MFR_PRECISION"):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    return tmp_path


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runtimes, measured beforehand."""
    measured = [
        Measured(Choice("torch"), (10.0, 20.0), 1.0),
        Measured(Choice("onnxruntime"), why_not="ONNX Runtime is not installed."),
        Measured(Choice("openvino"), (30.0, 60.0), 1.0),
    ]
    monkeypatch.setattr(measuring, "measure", lambda *_: measured)


def test_the_fastest_computes_from_then_on(
    found: None, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["doctor", "--model", "drawn-faces", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["chosen"] == {"runtime": "openvino", "precision": "float32"}
    assert told["measured"][0]["per_second"] == {"1": 10.0, "16": 20.0}
    assert Path(told["kept_in"]) == cache / "mfr" / "runtime.json"
    assert chosen() == Choice("openvino", "float32")


def test_what_is_not_installed_is_told(found: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctor", "--model", "drawn-faces"]) == 0
    out = capsys.readouterr()
    assert "onnxruntime, float32: ONNX Runtime is not installed." in out.out + out.err
    assert "From now on openvino computes" in out.out + out.err


def test_options_before_a_command_choose() -> None:
    assert cli.run(["--runtime", "onnxruntime", "--precision", "float32", "models"]) == 0
    assert (os.environ["MFR_RUNTIME"], os.environ["MFR_PRECISION"]) == ("onnxruntime", "float32")


def test_a_precision_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--precision", "float8", "models"]) == 2
    assert "no precision 'float8'" in capsys.readouterr().err


def test_a_detectors_file_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published = tmp_path / "published"
    published.write_bytes(b"network")
    digest = hashlib.sha256(b"network").hexdigest()
    file = KnownFile("yunet.onnx", published.as_uri(), digest, "Apache-2.0", 0.3)
    monkeypatch.setattr(weights, "YUNET", file)
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    assert cli.run(["models", "fetch", "yunet"]) == 0
    out = capsys.readouterr()
    assert f"yunet is here: {file.path}." in out.out + out.err
    assert weights.yunet_file() == file.path
    assert cli.run(["models", "fetch", "nobody"]) == 2
    assert "There is no pretrained model 'nobody'" in capsys.readouterr().err


def test_a_detector_without_its_file_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    with pytest.raises(ModelError, match="run 'mfr models fetch yunet' once"):
        weights.yunet_file()
    monkeypatch.setenv(weights.VARIABLE, "/nowhere.onnx")
    with pytest.raises(ModelError, match=r"MFR_YUNET names /nowhere\.onnx, where no file is"):
        weights.yunet_file()
