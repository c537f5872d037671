"""A network that is known only as a graph, as an exported file holds it.

What runs one needs no PyTorch, which takes longer to import than all else that two photos take.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SavedGraph:
    """What runtimes other than PyTorch compute with in place of a network.

    Attributes:
        name: what it is called in messages.
        graph: an ONNX file's content or, with ``weights``, that of OpenVINO's ``.xml``.
        weights: the content of OpenVINO's ``.bin``; None for ONNX.
    """

    name: str
    graph: bytes
    weights: bytes | None = None

    @property
    def runtimes(self) -> tuple[str, ...]:
        """The names of the runtimes that read it, the one it was made for first."""
        return ("onnxruntime", "openvino") if self.weights is None else ("openvino",)

    def usual_runtime(self) -> str:
        """The first of `runtimes` that is installed; the very first if none is."""
        return next((name for name in self.runtimes if find_spec(name)), self.runtimes[0])


def graph_of(network: nn.Module | SavedGraph, size: tuple[int, int]) -> bytes:
    """The graph of ``network``, in ONNX's form unless it is one of OpenVINO's own already.

    Arguments and errors as `mfr.runtimes.onnx_graph.onnx_graph`.
    """
    if isinstance(network, SavedGraph):
        return network.graph
    from mfr.runtimes.onnx_graph import onnx_graph

    return onnx_graph(network, size)
