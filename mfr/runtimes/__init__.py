"""Network input to features, by a runtime found by name.

To add a runtime: write a module with a class that is made as `mfr.runtimes.runtime.Runtime` says
and has its members, and name it in `RUNTIMES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mfr.errors import ConfigError
from mfr.registry import Registry
from mfr.runtimes.precision import EXACT, Precision

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mfr.runtimes.runtime import Runtime
    from mfr.runtimes.saved_graph import SavedGraph

DEFAULT: Final = "torch"
"""The runtime that is used unless another is named."""

RUNTIMES: Final[Registry[Callable[..., Runtime]]] = Registry(
    "runtime",
    {
        "torch": "mfr.runtimes.torch:TorchRuntime",
        "onnxruntime": "mfr.runtimes.onnxruntime:OnnxRuntime",
        "openvino": "mfr.runtimes.openvino:OpenVinoRuntime",
    },
    ConfigError,
)


def build_runtime(
    name: str,
    network: nn.Module | SavedGraph,
    device: str | torch.device = "cpu",
    *,
    size: tuple[int, int],
    precision: Precision = EXACT,
) -> Runtime:
    """Make the runtime ``name`` for ``network``, which is left as it is.

    Args:
        name: one of ``RUNTIMES.names()``, or the place of another, ``package.module:name``.
        network: in evaluation mode, on the CPU; or its graph, which PyTorch does not read.
        device: where to compute.
        size: height and width of the network's input.
        precision: of the arithmetic, float32 or bfloat16.

    Raises:
        ConfigError: there is no such runtime, it is not installed, or it has not this device or
            this precision on this machine, or cannot read this graph.
    """
    return RUNTIMES.find_anywhere(name)(network, device, size=size, precision=precision)
