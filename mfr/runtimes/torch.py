"""PyTorch as a runtime: batch normalisation folded into the convolutions, channels last."""

from __future__ import annotations

import copy
import os
from threading import Lock

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from mfr.devices import usable_device
from mfr.errors import ConfigError
from mfr.forking import insist_on_own_process, outlast_forks
from mfr.runtimes.precision import EXACT, Precision
from mfr.runtimes.saved_graph import SavedGraph

# One for all runtimes: while torch.fx traces a network, it changes what a call of any module does.
_folding = Lock()


def _renew_lock() -> None:
    global _folding
    _folding = Lock()  # in a forked process, which may find it held by a thread that it lacks


os.register_at_fork(after_in_child=_renew_lock)


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
        size: height and width of the input; any will do.
        precision: of convolutions and matrix products.

    Raises:
        ConfigError: this machine has no such device, or a graph is given.
    """

    def __init__(
        self,
        network: nn.Module | SavedGraph,
        device: str | torch.device = "cpu",
        *,
        size: tuple[int, int] | None = None,
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
        self._network = network
        self._folded: nn.Module | None = None
        self._lower = precision == "bfloat16"

    def features(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, height, width) float32 network input -> (N, d) float32, not normalised.

        Raises:
            ModelError: on a GPU, in a process that was forked from the one that made this.
        """
        given = torch.from_numpy(np.require(images, requirements="W"))  # PyTorch warns of others
        found: np.ndarray = self.tensor_features(given.to(self.device)).cpu().numpy()
        return found

    @torch.inference_mode()
    def tensor_features(self, images: torch.Tensor) -> torch.Tensor:
        """As `features`, of tensors on the device. Errors as there."""
        insist_on_own_process(self.device, self._process)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._lower):
            features: torch.Tensor = self._ready()(images)
        return features.float()

    def _ready(self) -> nn.Module:
        with _folding:
            if self._folded is None:
                folded = _folded(self._network).to(self.device)
                # The type of `to` knows no memory format alone.
                self._folded = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            return self._folded


def _folded(network: nn.Module) -> nn.Module:
    """A copy of ``network`` with batch normalisation folded into the layers before it."""
    try:
        return fuse(network)
    except Exception:
        # The control flow of a network from outside may not let itself be traced: run it as it is.
        return copy.deepcopy(network)
