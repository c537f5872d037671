"""Safetensors files: written whole or not at all, and checked for numbers that are not finite."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from mfr import atomic
from mfr.errors import ModelError


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write ``tensors``, contiguous ones on the CPU, and ``metadata`` to ``path``.

    Raises:
        WriteError: the disk is full or the place not writable; what was there is untouched.
    """
    with atomic.replacing(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata=dict(metadata))
        except SafetensorError as error:
            # The library tells what the operating system said in the text of its own error only.
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def check_finite(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights with NaN or infinity.

    Raises:
        ModelError: naming the first such tensor.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"{path}: the tensor '{name}' has NaN or infinite values: use an earlier "
                "checkpoint or another file."
            )
