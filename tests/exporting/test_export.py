"""``mfr export``: what it writes is the model, or nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxscript", reason="mfr[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="mfr[onnx] is not installed")
pytest.importorskip("openvino", reason="mfr[openvino] is not installed")

import onnxruntime

from mfr import cli
from mfr.encoder import Encoder
from mfr.errors import ModelError
from mfr.exporting.export import agreement
from mfr.exporting.parity import parity, random_crops
from mfr.models import load_encoder
from tests.datasets import write_dataset
from tests.exported.graphs import CALIBRATION, WEIGHTS, exported_tiny, tiny_graph
from tests.test_encoder import lively

NETWORK = "smallfacenet"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A centred model with a calibration."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    encoder = Encoder.from_network(lively(NETWORK), NETWORK)
    centre = encoder.embed(random_crops(5)).mean(axis=0)
    encoder.with_centre(centre).with_calibration(CALIBRATION).save(path)
    return str(path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert cli.run(list(arguments)) == 2
    return capsys.readouterr().err


def test_parity_is_the_lowest_cosine_and_the_largest_difference() -> None:
    embeddings = {
        "exact": np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32),
        "other": np.array([[1, 0], [0, 1], [0.8, 0.6]], np.float32),
    }
    crops = np.zeros((3, 112, 112, 3), np.uint8)
    found = parity(lambda _: embeddings["exact"], lambda _: embeddings["other"], crops)
    assert found.crops == 3
    assert found.lowest_cosine == pytest.approx(0.96)
    assert found.largest_difference == pytest.approx(0.2)


def test_a_graph_that_computes_something_else_is_not_written(tmp_path: Path) -> None:
    source = Encoder.from_exported(exported_tiny("onnx", tmp_path / "a.onnx"))
    other = exported_tiny("onnx", tmp_path / "b.onnx", graph=tiny_graph(WEIGHTS[::-1].copy()))
    with pytest.raises(ModelError, match=r"cosine -?0\.\d+ on noisy crops.*was not written"):
        agreement(source, other, {"noisy": random_crops(0)})


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_an_exported_model_takes_the_place_of_its_source(
    form: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    write_dataset(data, {"a": 5})
    out = tmp_path / ("m.onnx" if form == "onnx" else "m.xml")
    assert cli.run(["export", model, "--to", form, "--out", str(out), "--data", str(data)]) == 0
    source, made = load_encoder(model), load_encoder(str(out))
    assert made.record == source.record and made.calibration == CALIBRATION
    crops = random_crops(1)
    np.testing.assert_allclose(made.embed(crops), source.embed(crops), atol=1e-5)
    report = json.loads((tmp_path / "m.parity.json").read_text())
    assert report["model_hash"] == source.model_hash
    assert {name: one["crops"] for name, one in report["parity"].items()} == {
        "random": 64,
        "dataset": 15,
    }
    assert all(one["lowest_cosine"] > 0.99999 for one in report["parity"].values())
    first = out.read_bytes()
    assert cli.run(["export", model, "--to", form, "--out", str(out), "--data", str(data)]) == 0
    assert out.read_bytes() == first
    assert "no weights" in refused(capsys, "export", str(out), "--out", str(tmp_path / "n.onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [NETWORK, "dlib-resnet"])
def test_the_whole_model_is_for_other_programs(name: str, model: str, tmp_path: Path) -> None:
    source = load_encoder(model if name == NETWORK else name)
    out = tmp_path / "whole.onnx"
    given = model if name == NETWORK else name
    assert cli.run(["export", given, "--whole", "--out", str(out)]) == 0
    session = onnxruntime.InferenceSession(out.read_bytes(), providers=["CPUExecutionProvider"])
    for count in (1, 3):
        crops = random_crops(2)[:count]
        (found,) = session.run(["embeddings"], {"crops": crops})
        np.testing.assert_allclose(found, source.embed(crops), atol=1e-5)


def test_what_cannot_be_exported_is_told(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "m.onnx")
    told = refused(capsys, "export", model, "--to", "openvino", "--out", out)
    assert f"ends in .xml: use --out {out}.xml" in told
    told = refused(capsys, "export", model, "--precision", "int8", "--out", out)
    assert "--precision int8 and --calibration DATASET together" in told
    told = refused(capsys, "export", model, "--out", out, "--data", str(tmp_path))
    assert "mfr" in told
    assert list(tmp_path.iterdir()) == []


def test_what_needs_weights_says_so_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(exported_tiny("onnx", path).graph.graph)
    data = tmp_path / "data"
    write_dataset(data, {"a": 5, "b": 5})
    new = str(tmp_path / "new.safetensors")
    told = refused(capsys, "calibrate", str(path), "--data", str(data), "--out", new)
    assert "calibrate the model it was exported from" in told
    assert "no weights" in refused(capsys, "doctor", "--model", str(path))
    run = ["--data", str(data), "--sources", "a,b", "--out", str(tmp_path / "run")]
    assert "no weights" in refused(capsys, "train", *run, "--init", str(path), "--steps", "1")
