"""A network that is known only as a graph, as an exported file holds it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec


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
