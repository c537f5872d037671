"""ONNX Runtime as a runtime, in float32 on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mfr.errors import ConfigError, ModelError
from mfr.extras import WITH_TORCH, imported
from mfr.runtimes.compiled import Compiled
from mfr.runtimes.precision import EXACT, Precision
from mfr.runtimes.saved_graph import SavedGraph, graph_of
from mfr.runtimes.the_cpu import the_cpu

if TYPE_CHECKING:
    import torch
    from torch import nn


class OnnxRuntime:
    """Runs a network's graph on the CPU.

    Args:
        network: in evaluation mode, on the CPU; it must not change before its first use. Or a graph
            in ONNX's form.
        device: 'cpu'.
        size: height and width of the network's input.
        precision: 'float32'.

    Raises:
        ConfigError: ONNX Runtime is not installed, the device or the precision is another one, or
            the graph is of OpenVINO's form.
    """

    def __init__(
        self,
        network: nn.Module | SavedGraph,
        device: str | torch.device = "cpu",
        *,
        size: tuple[int, int],
        precision: Precision = EXACT,
    ) -> None:
        self.device = the_cpu(device, "onnxruntime")
        onnxruntime = imported(
            "onnxruntime", instead=None if isinstance(network, SavedGraph) else WITH_TORCH
        )
        if isinstance(network, SavedGraph) and network.weights is not None:
            raise ConfigError(
                f"{network.name} is written for OpenVINO, which ONNX Runtime does not read: choose "
                "--runtime openvino."
            )
        if precision != EXACT:
            raise ConfigError(
                f"The runtime onnxruntime has no {precision}: choose --precision float32, or "
                "--runtime openvino."
            )

        def compile(threads: int) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.log_severity_level = 3  # errors only
            graph = graph_of(network, size)
            try:
                return onnxruntime.InferenceSession(
                    graph, options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # its own kinds, of which none can be imported by name
                raise ModelError(
                    f"ONNX Runtime {onnxruntime.__version__} cannot run this graph "
                    f"({str(error).strip().splitlines()[0]}): install a newer one, or export the "
                    "model again."
                ) from error

        self._session = Compiled(compile)

    def features(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, height, width) float32 network input -> (N, d) float32, not normalised.

        Raises:
            ModelError: PyTorch cannot write the network as a graph, or ONNX Runtime not read it.
        """
        session = self._session()
        found: np.ndarray
        (found,) = session.run(None, {session.get_inputs()[0].name: images})
        return found
