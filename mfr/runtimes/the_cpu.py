"""The one device of runtimes that compute on the CPU only."""

from __future__ import annotations

import torch

from mfr.devices import usable_device
from mfr.errors import ConfigError


def the_cpu(device: str | torch.device, runtime: str) -> torch.device:
    """The CPU.

    Raises:
        ConfigError: ``device`` is another one.
    """
    usable = usable_device(device)
    if usable.type != "cpu":
        raise ConfigError(
            f"The runtime {runtime} computes on the CPU, not on '{device}': choose --runtime torch."
        )
    return usable
