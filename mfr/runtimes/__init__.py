"""Network input to features, by a runtime found by name.

To add a runtime: write a module with a class that is made of (network, device) and has the members
of `mfr.runtimes.runtime.Runtime`, and name it in `RUNTIMES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mfr.errors import ConfigError
from mfr.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mfr.runtimes.runtime import Runtime

DEFAULT: Final = "torch"
"""The runtime that is used unless another is named."""

RUNTIMES: Final[Registry[Callable[..., Runtime]]] = Registry(
    "runtime",
    {
        "torch": "mfr.runtimes.torch:TorchRuntime",
    },
    ConfigError,
)


def build_runtime(name: str, network: nn.Module, device: str | torch.device = "cpu") -> Runtime:
    """Make the runtime ``name`` for ``network``, which is left as it is.

    Raises:
        ConfigError: there is no such runtime, or this machine has no such device.
    """
    return RUNTIMES.find_anywhere(name)(network, device)
