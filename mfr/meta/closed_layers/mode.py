"""The layers that replace PyTorch's while a network runs in a meta learner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from mfr.meta.closed_layers.attention import attention, multi_head_attention
from mfr.meta.closed_layers.batch_norm import batch_norm
from mfr.meta.closed_layers.convolution import conv2d
from mfr.meta.closed_layers.prelu import prelu
from mfr.meta.closed_layers.weight_norm import weight_norm

Layers = Mapping[Callable[..., Any], Callable[..., Any]]
"""PyTorch's function -> ours, which returns None where PyTorch's has to run."""

CLOSED: Layers = {F.conv2d: conv2d, F.batch_norm: batch_norm, torch.prelu: prelu}
SECOND_ORDER: Layers = {
    F.scaled_dot_product_attention: attention,
    F.multi_head_attention_forward: multi_head_attention,
    torch._weight_norm: weight_norm,
}
"""Those of which PyTorch has no second derivative, or a wrong one."""

_twice: ContextVar[bool] = ContextVar("twice", default=False)


@contextmanager
def differentiated_twice() -> Iterator[None]:
    """While entered, layers without a right second derivative are replaced too."""
    token = _twice.set(True)
    try:
        yield
    finally:
        _twice.reset(token)


class closed_layers(TorchFunctionMode):  # noqa: N801 - a context manager
    """While entered, ``F.conv2d``, ``F.batch_norm`` and ``F.prelu`` are the closed ones.

    They are used only where they are known to be right and faster: on the CPU, for batch
    normalisation by the statistics of its batch, without autocast and without forward-mode
    derivatives. PyTorch's layers do everything else. Attention and weight normalisation
    are replaced inside `differentiated_twice`.

    Images keep their memory layout: PyTorch's batch normalisation is faster in channels-last
    layout, but less exact, which was seen to change float32 gradients by up to 2%.

    Attributes:
        layers: which functions are replaced, and by what.
        hooked: the network ran one of these layers under hooks of its own for saved tensors, as
            activation checkpointing does: the layer may then run again on the way back.
    """

    def __init__(self, layers: Layers = CLOSED) -> None:
        super().__init__()
        self.layers = {**layers, **SECOND_ORDER} if _twice.get() else layers
        self.hooked = False
        self._hooks = _saved_tensors_hooks()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """The result of the closed function in place of ``func``, or else that of ``func``."""
        kwargs = kwargs or {}
        closed = self.layers.get(func)
        if closed is None:
            return func(*args, **kwargs)
        if not self.hooked and _saved_tensors_hooks() != self._hooks:
            self.hooked = True
        found = closed(*args, **kwargs)
        return func(*args, **kwargs) if found is None else found


def _saved_tensors_hooks() -> object:
    """Those now in force, or None. Torch has no public way to ask."""
    return torch._C._autograd._top_saved_tensors_default_hooks(True)
