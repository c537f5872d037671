"""int8: which layers are rounded, and what the guard lets pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="mfr[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="mfr[onnx] is not installed")

import onnx
from onnx import TensorProto, helper, numpy_helper

from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.errors import DataError, ModelError
from mfr.exporting import int8
from mfr.exporting.guard import Guard
from mfr.exporting.int8 import exported_in_int8
from mfr.exporting.quantising import CHOICES, choices_for, quantised
from tests.datasets import write_dataset
from tests.exported.graphs import exported_tiny, tiny_graph


def convolutions(groups: tuple[int, ...]) -> bytes:
    """A chain of 1 x 1 convolutions of 4 channels, named 0, 1, ..., of so many groups each."""
    generator = np.random.default_rng(0)
    weights = [
        generator.normal(size=(4, 4 // number, 1, 1)).astype(np.float32) for number in groups
    ]
    shape = ["batch", 4, 6, 6]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"x{i + 1}"], name=str(i), group=number)
            for i, number in enumerate(groups)
        ],
        "chain",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"x{len(groups)}", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(one, f"w{i}") for i, one in enumerate(weights)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = made.SerializeToString()
    return content


def rounded_layers(graph: bytes) -> set[str]:
    """The convolutions whose weights are int8."""
    nodes = onnx.load_model_from_string(graph).graph.node
    given = {name: node.op_type for node in nodes for name in node.output}
    return {
        node.name
        for node in nodes
        if node.op_type == "Conv" and given.get(node.input[1]) == "DequantizeLinear"
    }


def test_layers_are_kept_as_each_choice_says() -> None:
    graph = convolutions((1, 4, 1, 4, 1, 1))
    inputs = np.random.default_rng(1).normal(size=(20, 4, 6, 6)).astype(np.float32)
    found = [rounded_layers(quantised(graph, inputs, kept)) for kept in CHOICES]
    assert found == [{"0", "1", "2", "3", "4", "5"}, {"1", "2", "3"}, {"2"}]


def test_a_choice_that_changes_nothing_is_left_out() -> None:
    assert list(choices_for(convolutions((1, 1, 1, 1, 1)))) == list(CHOICES[:2])
    assert list(choices_for(convolutions((1, 4, 1, 1, 1)))) == list(CHOICES)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_dataset(root, {"a": 60, "b": 4}, images=4, splits=("test", "test", "test", "val"))
    return root


def colours(crops: np.ndarray) -> np.ndarray:
    """The mean colours of the quarters of a crop, centred; they tell the made-up people apart."""
    means = crops.reshape(len(crops), 4, 28, 4, 28, 3).mean((2, 4)).reshape(len(crops), -1) - 127
    return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


def test_the_guard_tells_worse_from_as_good(dataset: Path) -> None:
    guard = Guard(colours, Manifest.read(dataset))

    def blind(crops: np.ndarray) -> np.ndarray:
        return colours(np.random.default_rng(0).permutation(crops))

    (same,), (worse,) = guard.judge(colours), guard.judge(blind)
    assert (same.domain, same.people, same.images) == ("a", 45, 180)  # b has too few
    assert same.tar == (1.0, 1.0, (0.0, 0.0)) and not same.worse
    assert worse.worse and worse.tar.exported < 0.2 and worse.tar.interval[1] < -0.5


def test_scores_that_moved_against_the_threshold_are_worse(dataset: Path) -> None:
    """A further dimension moves all scores up, or down, and none past another."""
    guard = Guard(colours, Manifest.read(dataset))

    def moved(crops: np.ndarray, more: np.ndarray) -> np.ndarray:
        wider = np.column_stack([colours(crops), more])
        return (wider / np.linalg.norm(wider, axis=1, keepdims=True)).astype(np.float32)

    (alike,) = guard.judge(lambda crops: moved(crops, np.ones(len(crops))))
    assert alike.tar == (1.0, 1.0, (0.0, 0.0)) and alike.fnmr == (0.0, 0.0, (0.0, 0.0))
    assert alike.worse and alike.fmr.exported > alike.fmr.source and alike.fmr.interval[0] > 0
    (unlike,) = guard.judge(lambda crops: moved(crops, 3 * np.eye(len(crops))))
    assert unlike.tar == (1.0, 1.0, (0.0, 0.0)) and unlike.fmr.exported == 0.0
    assert unlike.worse and unlike.fnmr.exported == 1.0 and unlike.fnmr.interval[0] > 0


def test_too_few_people_cannot_judge(dataset: Path) -> None:
    few = Manifest.read(dataset).where(domains=["b"])
    with pytest.raises(DataError, match="too few test people to judge int8 by"):
        Guard(colours, few)


@pytest.mark.slow
def test_the_first_that_passes_is_taken_and_none_is_refused(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The rounding and the graph are made up: what is tested is who decides."""
    source = exported_tiny("onnx", tmp_path / "s.onnx")
    encoder = Encoder.from_exported(source)
    worse = tiny_graph(np.array([[1, 1, 1], [1, 1, 1.01], [1, 1.01, 1], [1, 1, 1]], "f4"))
    monkeypatch.setattr(int8, "graph_of", lambda encoder, output: tiny_graph())
    monkeypatch.setattr(int8, "choices_for", lambda graph: CHOICES)
    graphs = {CHOICES[0]: worse, CHOICES[1]: tiny_graph(), CHOICES[2]: worse}
    monkeypatch.setattr(int8, "quantised", lambda graph, inputs, kept: graphs[kept])
    made, kept, judged = exported_in_int8(encoder, dataset, tmp_path / "m.onnx", "onnx", "features")
    assert kept == CHOICES[1] and made.notes.arithmetic == "int8" and not judged[0].worse
    assert made.record == source.record
    graphs[CHOICES[1]] = worse
    with pytest.raises(ModelError, match=r"apart worse \(a: at an FMR .* TAR .* points\), and was"):
        exported_in_int8(encoder, dataset, tmp_path / "m.onnx", "onnx", "features")
    assert list(tmp_path.iterdir()) == []
