"""ONNX Runtime as a runtime, in float32 on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mfr.errors import ConfigError
from mfr.runtimes.compiled import Compiled
from mfr.runtimes.extras import imported
from mfr.runtimes.onnx_graph import FEATURES, IMAGES, onnx_graph
from mfr.runtimes.precision import EXACT, Precision
from mfr.runtimes.the_cpu import the_cpu


class OnnxRuntime:
    """Runs a network's graph on the CPU.

    Args:
        network: in evaluation mode, on the CPU; it must not change before its first use.
        device: 'cpu'.
        size: height and width of the network's input.
        precision: 'float32'.

    Raises:
        ConfigError: ONNX Runtime is not installed, or the device or the precision is another one.
    """

    def __init__(
        self,
        network: nn.Module,
        device: str | torch.device = "cpu",
        *,
        size: tuple[int, int],
        precision: Precision = EXACT,
    ) -> None:
        self.device = the_cpu(device, "onnxruntime")
        onnxruntime = imported("onnxruntime")
        if precision != EXACT:
            raise ConfigError(
                f"The runtime onnxruntime has no {precision}: choose --precision float32, or "
                "--runtime openvino."
            )

        def compile(threads: int) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.log_severity_level = 3  # errors only
            return onnxruntime.InferenceSession(
                onnx_graph(network, size), options, providers=["CPUExecutionProvider"]
            )

        self._session = Compiled(compile)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, height, width) float32 network input -> (N, d) float32, not normalised.

        Raises:
            ModelError: PyTorch cannot write the network as a graph.
        """
        (found,) = self._session().run([FEATURES], {IMAGES: images.numpy()})
        return torch.from_numpy(found)
