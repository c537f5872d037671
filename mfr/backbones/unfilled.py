"""Networks without memory for their weights, to learn names and shapes or to be given weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mfr.backbones import build_backbone


def build_unfilled(name: str, **arguments: Any) -> nn.Module:
    """As `mfr.backbones.build_backbone`, on the device 'meta': nothing is drawn or stored.

    The caller's random state is left alone.
    """
    with torch.device("meta"), _Undrawn():
        return build_backbone(name, **arguments)


class _Undrawn(TorchFunctionMode):
    """Leaves out the drawing of numbers, for which PyTorch loads its compiler (a second) there."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        if function in (torch.Tensor.normal_, torch.Tensor.uniform_):
            return args[0]
        return function(*args, **(kwargs or {}))
