"""Small graphs that need no exporter, and models exported from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.exported.exported_model import ExportedModel, ExportNotes, Form
from mfr.exported.onnx_file import read_onnx, with_record
from mfr.exported.openvino_file import converted, parsed_openvino
from mfr.model_record import ModelRecord

WEIGHTS = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [0.5, 0.0, 1.0], [1.0, 1.0, -2.0]], "f4")
"""(4, 3): the mean of each channel becomes four features."""
CALIBRATION = Calibrations.of(
    Calibration(thresholds=[0.5], fmrs=[0.01], comparisons=100, people=9, source="val")
)


def record(**changes: Any) -> ModelRecord:
    """Of a model of one view, with a hash that nothing is checked against."""
    fields = {"backbone": "smallfacenet", "embedding_size": 4, "flip_fusion": False}
    return ModelRecord(**{**fields, "calibration": CALIBRATION, "model_hash": "feed"} | changes)


def tiny_graph(weights: np.ndarray = WEIGHTS, *, opset: int = 17) -> bytes:
    """The mean of each channel times ``weights``, any number of 112 x 112 images."""
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("GlobalAveragePool", ["images"], ["pooled"]),
            node("Flatten", ["pooled"], ["flat"]),
            node("Gemm", ["flat", "weights"], ["features"], transB=1, doc_string="/home/me/it.py"),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 112, 112])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", len(weights)])],
        [numpy_helper.from_array(weights, "weights")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    content: bytes = made.SerializeToString()
    return content


def exported_tiny(form: Form, path: Path, **options: Any) -> ExportedModel:
    """`tiny_graph` as an exported model; ``options`` are fields of record or notes, or a graph."""
    graph = options.pop("graph", None) or tiny_graph()
    fields = {name: options.pop(name) for name in list(options) if name in ExportNotes.model_fields}
    notes = ExportNotes(**fields)
    if form == "onnx":
        return read_onnx(path, with_record(graph, record(**options), notes))
    return parsed_openvino(path, *converted(graph, record(**options), notes))


def parsed(content: bytes) -> Any:
    """The content of an ONNX file."""
    return onnx.load_model_from_string(content)
