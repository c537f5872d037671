"""A graph in int8, some of its layers kept in float32.

Weights are rounded to 8 bits a channel, and what layers take to 8 bits a tensor, between the lowest
and the highest value that calibration images give there (Jacob et al., CVPR 2018).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mfr.errors import ModelError
from mfr.extras import imported

_MULTIPLYING: Final = ("Conv", "Gemm", "MatMul")
"""The kinds of layers that take nearly all of the time."""
_BATCH: Final = 16


@dataclass(frozen=True)
class Kept:
    """A choice of layers that stay in float32, beside all that are neither convolution nor product.

    Attributes:
        what: they, in words.
        names: of the layers of a graph that are kept although they multiply.
    """

    what: str
    names: Callable[[Any], set[str]]


def _multiplying(graph: Any) -> list[str]:
    return [node.name for node in graph.node if node.op_type in _MULTIPLYING]


def _ends(graph: Any) -> set[str]:
    """The first layer, which sees pixels, and the last two, which make the features."""
    layers = _multiplying(graph)
    return {layers[0], *layers[-2:]}


def _ends_and_depthwise(graph: Any) -> set[str]:
    groups = {
        node.name: attribute.i
        for node in graph.node
        for attribute in node.attribute
        if attribute.name == "group"
    }
    return _ends(graph) | {name for name, number in groups.items() if number > 1}


CHOICES: Final = (
    Kept("no convolution", lambda graph: set()),
    Kept("the first and the last two convolutions", _ends),
    Kept("the first, the last two and all depthwise convolutions", _ends_and_depthwise),
)
"""From the fastest to the most exact."""


def choices_for(graph: bytes) -> Iterator[Kept]:
    """Those of `CHOICES` that keep different layers of ``graph``, an ONNX one."""
    nodes = imported("onnx", instead=None).load_model_from_string(graph).graph
    seen: list[set[str]] = []
    for kept in CHOICES:
        names = kept.names(nodes)
        if names not in seen:
            seen.append(names)
            yield kept


def quantised(graph: bytes, inputs: NDArray[Any], kept: Kept) -> bytes:
    """``graph`` in int8 but for what is ``kept``.

    Args:
        graph: in ONNX's form, in float32.
        inputs: (N, ...) what it takes, of images that are typical.
        kept: what stays in float32.

    Raises:
        ConfigError: ONNX Runtime is not installed.
        ModelError: it cannot round this graph.
    """
    onnx = imported("onnx", instead=None)
    imported("onnxruntime", instead=None)
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    model = onnx.load_model_from_string(graph)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "graph.onnx")
        try:
            with _without_advice():
                quantize_static(
                    model,
                    out,
                    _Inputs(model.graph.input[0].name, inputs),
                    quant_format=QuantFormat.QDQ,
                    op_types_to_quantize=list(_MULTIPLYING),
                    nodes_to_exclude=sorted(kept.names(model.graph)),
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                )
        except Exception as error:  # what the library meets
            raise ModelError(
                "ONNX Runtime cannot round this network's graph to int8: export it in float32."
            ) from error
        return out.read_bytes()


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep back what ONNX Runtime advises programmers to do first: PyTorch has done it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


class _Inputs:
    """Calibration images in the form that ONNX Runtime asks for: a batch at each `get_next`."""

    def __init__(self, name: str, inputs: NDArray[Any]) -> None:
        self._batches: Iterator[dict[str, NDArray[Any]]] = (
            {name: np.ascontiguousarray(inputs[start : start + _BATCH])}
            for start in range(0, len(inputs), _BATCH)
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next batch, by the name of the graph's input; None after the last."""
        return next(self._batches, None)
