"""OpenVINO as a runtime: the fastest on CPUs, bfloat16 where the processor has it."""

from __future__ import annotations

import os
from threading import local
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mfr.errors import ConfigError, ModelError
from mfr.extras import WITH_TORCH
from mfr.runtimes.compiled import Compiled
from mfr.runtimes.onnxruntime import OnnxRuntime
from mfr.runtimes.openvino_core import openvino_core
from mfr.runtimes.precision import EXACT, Precision
from mfr.runtimes.runtime import Runtime
from mfr.runtimes.saved_graph import SavedGraph, graph_of
from mfr.runtimes.the_cpu import the_cpu

if TYPE_CHECKING:
    import torch
    from torch import nn

_HINTS: Final[dict[Precision, str]] = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoRuntime:
    """Runs a network's graph on the CPU; in a forked process, another runtime does.

    There PyTorch runs a network, and ONNX Runtime a graph in ONNX's form; one in OpenVINO's own
    form is refused.

    Args:
        network: in evaluation mode, on the CPU; it must not change before its first use. Or a
            graph.
        device: 'cpu'.
        size: height and width of the network's input.
        precision: of the arithmetic.

    Raises:
        ConfigError: OpenVINO is not installed, the device is another one, or the processor has no
            such arithmetic.
    """

    def __init__(
        self,
        network: nn.Module | SavedGraph,
        device: str | torch.device = "cpu",
        *,
        size: tuple[int, int],
        precision: Precision = EXACT,
    ) -> None:
        self.device = the_cpu(device, "openvino")
        core = openvino_core(instead=None if isinstance(network, SavedGraph) else WITH_TORCH)
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
            weights = network.weights if isinstance(network, SavedGraph) else None
            graph = graph_of(network, size)
            try:
                model = core.read_model(graph, weights) if weights else core.read_model(graph)
                return core.compile_model(model, "CPU", hints)
            except RuntimeError as error:
                version = core.get_versions("CPU")["CPU"].build_number
                raise ModelError(
                    f"OpenVINO {version} cannot run this graph: install a newer one, "
                    "or export the model again."
                ) from error

        self._compiled = Compiled(compile)
        self._own = local()
        self._process = os.getpid()
        self._in_forked = Compiled(lambda _: _elsewhere(network, size, precision))

    def features(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, height, width) float32 network input -> (N, d) float32, not normalised.

        Raises:
            ModelError: PyTorch cannot write the network as a graph, or OpenVINO not read it.
            ConfigError: in a forked process, with a graph in OpenVINO's own form.
        """
        # In a forked process OpenVINO crashes, whatever is compiled anew there.
        if os.getpid() != self._process:
            return self._in_forked().features(images)
        request = self._request(self._compiled())
        (found,) = request.infer([images]).values()
        return np.array(found)  # a copy: the request writes over its own memory

    def _request(self, compiled: Any) -> Any:
        """The calling thread's own request, for a request serves one thread at a time."""
        if not hasattr(self._own, "request"):
            self._own.request = compiled.create_infer_request()
        return self._own.request


def _elsewhere(
    network: nn.Module | SavedGraph, size: tuple[int, int], precision: Precision
) -> Runtime:
    """What computes in a forked process."""
    if not isinstance(network, SavedGraph):
        from mfr.runtimes.torch import TorchRuntime

        return TorchRuntime(network, size=size, precision=precision)
    if network.weights is not None:
        raise ConfigError(
            f"OpenVINO, which {network.name} is written for, does not compute in a forked process: "
            "load the model there, or export it with --to onnx."
        )
    return OnnxRuntime(network, size=size)
