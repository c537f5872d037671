"""Where tensors are computed: the devices that this machine has."""

from __future__ import annotations

import torch

from mfr.errors import ConfigError


def usable_device(device: str | torch.device) -> torch.device:
    """The device of that name, such as cpu, cuda or cuda:1.

    Raises:
        ConfigError: this machine has no such device.
    """
    try:
        usable = torch.device(device)
        torch.empty(0, device=usable)
    except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts
        raise ConfigError(
            f"The device '{device}' cannot be used on this machine: choose cpu, or install a "
            "PyTorch that supports it."
        ) from error
    return usable
