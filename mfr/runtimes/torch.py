"""PyTorch as a runtime: batch normalisation folded into the convolutions, channels last."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import nn

from mfr.devices import usable_device
from mfr.errors import ConfigError
from mfr.forking import insist_on_own_process, outlast_forks
from mfr.runtimes.compiled import Compiled
from mfr.runtimes.folding import folded
from mfr.runtimes.precision import EXACT, Precision
from mfr.runtimes.saved_graph import SavedGraph


class TorchRuntime:
    """Runs a network as PyTorch does, a little rearranged.

    On 2 CPU cores MobileFaceNet runs 1.6 times as fast in this form as in its own (folded alone
    1.2, channels-last alone 1.3), with features equal to 2e-6 (docs/results/runtimes.md).

    On a GPU the convolutions are exact: TF32 would make its embeddings differ from a CPU's in the
    third digit. PyTorch's flags for that belong to the whole process, and switching them around
    every call would disturb other threads; so they are set once, when a runtime for a GPU is made.

    Args:
        network: in evaluation mode; it is copied when features are first asked for, and must not
            change before. A graph is refused.
        device: where to compute.
        size: height and width of the network's input.
        precision: of convolutions and matrix products.

    Raises:
        ConfigError: this machine has no such device, or a graph is given.
    """

    def __init__(
        self,
        network: nn.Module | SavedGraph,
        device: str | torch.device = "cpu",
        *,
        size: tuple[int, int],
        precision: Precision = EXACT,
    ) -> None:
        if isinstance(network, SavedGraph):
            raise ConfigError(
                f"{network.name} is an exported model, which has no weights for PyTorch: give the "
                f"model it was exported from, or choose --runtime {' or '.join(network.runtimes)}."
            )
        where = usable_device(device)
        self.device = str(where)
        if where.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.benchmark = False
        outlast_forks("torch")
        self._process = os.getpid()

        def fold(threads: int) -> nn.Module:
            # The type of `to` knows no memory format alone.
            made: nn.Module = (
                folded(network, size)
                .to(self.device)
                .to(  # type: ignore[call-overload]
                    memory_format=torch.channels_last
                )
            )
            return made

        self._folded = Compiled(fold)
        self._lower = precision == "bfloat16"

    def features(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, height, width) float32 network input -> (N, d) float32, not normalised.

        Raises:
            ModelError: on a GPU, in a process that was forked from the one that made this.
        """
        insist_on_own_process(self.device, self._process)  # before anything goes to the GPU
        given = torch.from_numpy(np.require(images, requirements="W"))  # PyTorch warns of others
        found: np.ndarray = self.tensor_features(given.to(self.device)).cpu().numpy()
        return found

    @torch.inference_mode()
    def tensor_features(self, images: torch.Tensor) -> torch.Tensor:
        """As `features`, of tensors on the device. Errors as there."""
        insist_on_own_process(self.device, self._process)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._lower):
            features: torch.Tensor = self._folded()(images)
        return features.float()
