"""The state of all global sources of random numbers, so that a pass can see them again."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch


class RandomState:
    """The state now of PyTorch's global generators, Python's and NumPy's."""

    def __init__(self, devices: Iterable[torch.device]) -> None:
        """Besides the CPU's generator, those of the CUDA devices among ``devices`` are noted."""
        self._python = random.getstate()
        self._numpy = np.random.get_state()  # noqa: NPY002 - the one that modules may draw from
        self._cpu = torch.get_rng_state()
        self._cuda = {
            device: torch.cuda.get_rng_state(device)
            for device in set(devices)
            if device.type == "cuda"
        }

    @contextmanager
    def again(self) -> Iterator[None]:
        """While entered, random numbers are drawn from this state; afterwards all are put back."""
        now = RandomState(self._cuda)
        self._set()
        try:
            yield
        finally:
            now._set()

    def _set(self) -> None:
        random.setstate(self._python)
        np.random.set_state(self._numpy)  # noqa: NPY002
        torch.set_rng_state(self._cpu)
        for device, state in self._cuda.items():
            torch.cuda.set_rng_state(state, device)
