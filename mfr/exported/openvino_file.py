"""Exported models in OpenVINO's form: ``.xml`` with the record, and ``.bin`` beside it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mfr.errors import ModelError
from mfr.exported.exported_model import (
    EXPORT,
    RECORD,
    SEAL,
    UNSEALED,
    ExportedModel,
    ExportNotes,
    metadata_of,
    seal_of,
    understood,
)
from mfr.extras import imported
from mfr.model_record import ModelRecord
from mfr.runtimes.openvino_core import openvino_core
from mfr.runtimes.saved_graph import SavedGraph

_PLACE = "mfr"
"""Where the record stands in the graph's ``rt_info``."""


def converted(graph: bytes, record: ModelRecord, notes: ExportNotes) -> tuple[bytes, bytes]:
    """The contents of ``.xml`` and ``.bin``.

    Args:
        graph: in ONNX's form.
        record: of the model.
        notes: what else is said.

    Raises:
        ConfigError: OpenVINO is not installed.
    """
    openvino = imported("openvino", instead=None)
    model = openvino_core().read_model(graph)
    for number, operation in enumerate(model.get_ordered_ops()):
        # OpenVINO itself numbers operations through the life of the process.
        kind = operation.get_type_name()
        if kind not in ("Parameter", "Result"):  # whose names are the graph's own
            operation.set_friendly_name(f"{kind}_{number}")
    for key, value in metadata_of(record, notes).items():
        model.set_rt_info(value, [_PLACE, key])
    with tempfile.TemporaryDirectory() as folder:
        xml, weights = Path(folder, "graph.xml"), Path(folder, "graph.bin")
        openvino.serialize(model, xml, weights)
        contents = xml.read_bytes(), weights.read_bytes()
    seal = seal_of(contents)
    return contents[0].replace(UNSEALED.encode(), seal.encode()), contents[1]


def read_openvino(path: Path, content: bytes) -> ExportedModel:
    """The model in the ``content`` of an ``.xml`` and the ``.bin`` beside it.

    Raises:
        ModelError: the ``.bin`` is missing.
        ModelError, ConfigError: as `parsed_openvino`.
    """
    try:
        weights = path.with_suffix(".bin").read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path.with_suffix('.bin')}, with the weights of {path}, cannot be read: keep the two "
            "beside each other."
        ) from error
    return parsed_openvino(path, content, weights)


def parsed_openvino(path: Path, content: bytes, weights: bytes) -> ExportedModel:
    """The model in the contents of an ``.xml`` and a ``.bin``.

    Raises:
        ConfigError: OpenVINO is not installed.
        ModelError: they are no graph of ours, or not what was written.
    """
    try:
        model = openvino_core().read_model(content, weights)
    except RuntimeError as error:
        raise ModelError(
            f"{path} or its .bin is truncated, or no graph of OpenVINO's: copy both again from "
            "their source."
        ) from error
    keys = [key for key in (RECORD, EXPORT, SEAL) if model.has_rt_info([_PLACE, key])]
    metadata = {key: str(model.get_rt_info([_PLACE, key]).astype(str)) for key in keys}
    return understood(path, metadata, SavedGraph(str(path), content, weights))
