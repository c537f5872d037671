"""Exported models in ONNX's form: one file, the record among the metadata of the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mfr.errors import ModelError
from mfr.exported.exported_model import (
    UNSEALED,
    ExportedModel,
    ExportNotes,
    metadata_of,
    seal_of,
    understood,
)
from mfr.exported.onnx_metadata import onnx_metadata
from mfr.extras import imported
from mfr.model_record import ModelRecord
from mfr.runtimes.saved_graph import SavedGraph


def with_record(graph: bytes, record: ModelRecord, notes: ExportNotes) -> bytes:
    """The content of an exported file.

    What PyTorch notes of the code that a graph came from, file names included, is left out.

    Args:
        graph: in ONNX's form.
        record: of the model.
        notes: what else is said.

    Raises:
        ConfigError: the package onnx is not installed.
    """
    model = imported("onnx", instead=None).load_model_from_string(graph)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info):
        _forget(part)
    for part in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        _forget(part)
    for key, value in metadata_of(record, notes).items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString(deterministic=True)
    return content.replace(UNSEALED.encode(), seal_of([content]).encode())


def read_onnx(path: Path, content: bytes) -> ExportedModel:
    """The model in the ``content`` of a file.

    Raises:
        ModelError: the content is no ONNX graph of ours, or not what was written.
    """
    try:
        metadata = onnx_metadata(content)
    except ValueError as error:
        raise ModelError(
            f"{path} is truncated or no ONNX file: copy it again from its source."
        ) from error
    return understood(path, metadata, SavedGraph(str(path), content))


def _forget(part: Any) -> None:
    part.ClearField("doc_string")
    part.ClearField("metadata_props")
