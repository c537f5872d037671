"""A model as an exported file, with a report on how far it agrees with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

import mfr
from mfr import atomic
from mfr.encoder import Encoder
from mfr.errors import ModelError
from mfr.exported.exported_model import Arithmetic, ExportedModel, ExportNotes, Form, Output
from mfr.exported.onnx_file import read_onnx, with_record
from mfr.exported.openvino_file import converted, parsed_openvino
from mfr.exporting.parity import Parity, embedding_with, parity
from mfr.exporting.whole import CROPS, EMBEDDINGS, WholeModel
from mfr.geometry import CROP_SIZE
from mfr.runtimes.measuring import AGREEMENT
from mfr.runtimes.onnx_graph import onnx_graph, written_graph

SUFFIXES: Final[dict[Form, str]] = {"onnx": ".onnx", "openvino": ".xml"}
"""How the names of exported files end."""


def graph_of(encoder: Encoder, output: Output) -> bytes:
    """The graph of a model, in ONNX's form and in float32.

    Args:
        encoder: of a network with weights.
        output: 'features' for what the network does, 'embeddings' for `WholeModel`.

    Raises:
        ModelError: the model is an exported one, or PyTorch cannot write its network down.
        ConfigError: the packages are missing that write graphs.
    """
    if output == "features":
        return onnx_graph(encoder.network, encoder.geometry.size)
    whole = WholeModel(encoder).eval()
    example = torch.full((2, CROP_SIZE, CROP_SIZE, 3), 128, dtype=torch.uint8)
    with torch.inference_mode():
        whole(example)  # what is made once for all faces is made before PyTorch watches
    return written_graph(whole, example, CROPS, EMBEDDINGS)


def exported(
    encoder: Encoder, graph: bytes, path: Path, form: Form, output: Output, arithmetic: Arithmetic
) -> ExportedModel:
    """What a file at ``path`` would hold, read as it will be read.

    Args:
        encoder: the model.
        graph: of `graph_of`, or what was made of that.
        path: for messages; nothing is written.
        form: whose form the file has.
        output: what the graph gives.
        arithmetic: in which it computes.

    Raises:
        ConfigError: a package is not installed that writes this form.
    """
    centre = None
    if encoder.centre is not None and output == "features":
        centre = tuple(encoder.centre.tolist())
    notes = ExportNotes(output=output, arithmetic=arithmetic, centre=centre)
    if form == "onnx":
        return read_onnx(path, with_record(graph, encoder.record, notes))
    return parsed_openvino(path, *converted(graph, encoder.record, notes))


def agreement(
    encoder: Encoder, made: ExportedModel, crops: Mapping[str, NDArray[np.uint8]]
) -> dict[str, Parity]:
    """How far ``made`` agrees with ``encoder``, which computes in float32, on each of ``crops``.

    Raises:
        ModelError: it was to compute in float32 and does not agree, or gives what is not finite.
        ConfigError: no runtime is installed that reads it.
    """
    embed = embedding_with(made)
    found = {name: parity(encoder.embed, embed, some) for name, some in crops.items()}
    for name, one in found.items():
        if made.notes.arithmetic == "float32" and not one.lowest_cosine >= AGREEMENT:
            raise ModelError(
                f"The graph of this model does not compute what the model does (cosine "
                f"{one.lowest_cosine:.4f} on {name} crops), and was not written: install other "
                f"versions of torch or {made.graph.usual_runtime()}."
            )
    return found


def report(made: ExportedModel, agreed: Mapping[str, Parity], **more: Any) -> dict[str, Any]:
    """What stands beside an exported file: what was compared with what, and how far they agree."""
    runtime = made.graph.usual_runtime()
    return {
        "mfr": mfr.__version__,
        "torch": version("torch"),
        "runtime": f"{runtime} {version(runtime)}",
        "backbone": made.record.backbone,
        "model_hash": made.record.model_hash,
        "form": made.form,
        "output": made.notes.output,
        "arithmetic": made.notes.arithmetic,
        "parity": {name: asdict(one) for name, one in agreed.items()},
        **more,
    }


def write(made: ExportedModel, path: Path) -> None:
    """Write an exported file to ``path``, of OpenVINO's form with its ``.bin`` beside it.

    Raises:
        WriteError: the disk is full or the place not writable.
    """
    if made.graph.weights is not None:
        atomic.write_bytes(path.with_suffix(".bin"), made.graph.weights)
    atomic.write_bytes(path, made.graph.graph)
