"""A small graph that OpenVINO runs for several threads at once, each of which computes alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import local
from typing import Any

import numpy as np

from mfr.runtimes.compiled import Compiled
from mfr.runtimes.openvino_core import openvino_core


class OpenVinoGraph:
    """Runs a graph in float32, with as many streams as threads. Several threads may share it.

    Args:
        graph: gives what OpenVINO compiles; asked when the graph is first run.
    """

    def __init__(self, graph: Callable[[], Any]) -> None:
        core = openvino_core()

        def compile(threads: int) -> Any:
            hints = {
                "INFERENCE_PRECISION_HINT": "f32",
                "NUM_STREAMS": threads,
                "INFERENCE_NUM_THREADS": threads,
            }
            return core.compile_model(graph(), "CPU", hints)

        self._compiled = Compiled(compile)
        self._own = local()

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for ``inputs``, which are C-contiguous and of the graph's types."""
        compiled = self._compiled()
        if getattr(self._own, "compiled", None) is not compiled:
            # A request serves one thread at a time.
            self._own.compiled, self._own.request = compiled, compiled.create_infer_request()
        return list(self._own.request.infer(list(inputs), share_inputs=True).values())
