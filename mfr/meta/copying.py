"""Copies of networks, whatever they hold beside parameters and buffers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def copied(network: nn.Module) -> nn.Module:
    """A deep copy of ``network``; derived tensors in it (a last output, a weight made by a hook
    from others) are copied as values without their graph, which PyTorch refuses to copy.
    """
    with _WithoutGraphs():
        return copy.deepcopy(network)


class _WithoutGraphs(TorchFunctionMode):
    """While entered, tensors that are no leaves of a graph are copied by their values."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, memo = args
            return memo.setdefault(id(tensor), tensor.detach().clone())
        return func(*args, **(kwargs or {}))
