"""The one device of runtimes that compute on the CPU only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mfr.errors import ConfigError

if TYPE_CHECKING:
    import torch

_CPU: Final = "cpu"


def the_cpu(device: str | torch.device, runtime: str) -> str:
    """The CPU's name. PyTorch is imported only to tell what another device is.

    Raises:
        ConfigError: ``device`` is another one.
    """
    if str(device) == _CPU:
        return _CPU
    from mfr.devices import usable_device

    if usable_device(device).type != _CPU:
        raise ConfigError(
            f"The runtime {runtime} computes on the CPU, not on '{device}': choose --runtime torch."
        )
    return _CPU
