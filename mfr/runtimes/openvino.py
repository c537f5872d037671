"""OpenVINO as a runtime: the fastest on CPUs, bfloat16 where the processor has it."""

from __future__ import annotations

import os
from threading import local
from typing import Any, Final

import torch
from torch import nn

from mfr.errors import ConfigError
from mfr.runtimes.compiled import Compiled
from mfr.runtimes.extras import imported
from mfr.runtimes.onnx_graph import onnx_graph
from mfr.runtimes.precision import EXACT, Precision
from mfr.runtimes.the_cpu import the_cpu
from mfr.runtimes.torch import TorchRuntime

_HINTS: Final[dict[Precision, str]] = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoRuntime:
    """Runs a network's graph on the CPU; in a forked process, the network as PyTorch does.

    Args:
        network: in evaluation mode, on the CPU; it must not change before its first use.
        device: 'cpu'.
        size: height and width of the network's input.
        precision: of the arithmetic.

    Raises:
        ConfigError: OpenVINO is not installed, the device is another one, or the processor has no
            such arithmetic.
    """

    def __init__(
        self,
        network: nn.Module,
        device: str | torch.device = "cpu",
        *,
        size: tuple[int, int],
        precision: Precision = EXACT,
    ) -> None:
        self.device = the_cpu(device, "openvino")
        core = imported("openvino").Core()
        able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and "BF16" not in able:
            raise ConfigError(
                "This processor has no bfloat16 arithmetic: choose --precision float32."
            )

        def compile(threads: int) -> Any:
            hints = {
                "INFERENCE_PRECISION_HINT": _HINTS[precision],
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
            }
            return core.compile_model(core.read_model(onnx_graph(network, size)), "CPU", hints)

        self._compiled = Compiled(compile)
        self._own = local()
        self._process = os.getpid()
        self._in_forked = Compiled(lambda _: TorchRuntime(network, precision=precision))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, height, width) float32 network input -> (N, d) float32, not normalised.

        Raises:
            ModelError: PyTorch cannot write the network as a graph.
        """
        # In a forked process OpenVINO crashes, whatever is compiled anew there.
        if os.getpid() != self._process:
            return self._in_forked().features(images)
        request = self._request(self._compiled())
        (found,) = request.infer([images.numpy()]).values()
        return torch.from_numpy(found.copy())  # the request writes over its own memory

    def _request(self, compiled: Any) -> Any:
        """The calling thread's own request, for a request serves one thread at a time."""
        if not hasattr(self._own, "request"):
            self._own.request = compiled.create_infer_request()
        return self._own.request
