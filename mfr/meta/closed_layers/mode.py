"""The layers that replace PyTorch's while a network runs in a meta learner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from mfr.meta.closed_layers.batch_norm import batch_norm
from mfr.meta.closed_layers.convolution import conv2d
from mfr.meta.closed_layers.prelu import prelu

CLOSED: dict[Callable[..., Any], Callable[..., torch.Tensor | None]] = {
    F.conv2d: conv2d,
    F.batch_norm: batch_norm,
    torch.prelu: prelu,
}
"""PyTorch's function -> ours, which returns None where PyTorch's has to run."""


class closed_layers(TorchFunctionMode):  # noqa: N801 - a context manager
    """While entered, ``F.conv2d``, ``F.batch_norm`` and ``F.prelu`` are the closed ones.

    They are used only where they are known to be right and faster: on the CPU, for batch
    normalisation by the statistics of its batch, without autocast and without forward-mode
    derivatives. PyTorch's layers do everything else.

    Images keep their memory layout: PyTorch's batch normalisation is faster in channels-last
    layout, but less exact, which was seen to change float32 gradients by up to 2%.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """The result of the closed function in place of ``func``, or else that of ``func``."""
        kwargs = kwargs or {}
        closed = CLOSED.get(func)
        found = None if closed is None else closed(*args, **kwargs)
        return func(*args, **kwargs) if found is None else found
