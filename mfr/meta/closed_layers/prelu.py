"""PReLU, which is closed under differentiation because it is piecewise linear.

y = x where x > 0 and a x elsewhere, with a slope a for each channel. Let below(g) be g where x <= 0
and 0 elsewhere. The gradient is S(gy) = gy + (a - 1) below(gy) with respect to x and
sum(x below(gy)) with respect to a. With v and va the cotangents of these two, the second derivative
is S(v) + va min(x, 0) with respect to gy, va below(gy) with respect to x, and sum(v below(gy)) with
respect to a. PyTorch's kernels for both derivatives do not use the processor's vector units, and
take ten times as long.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from mfr.meta.closed_layers.channels import along_channels, products
from mfr.meta.closed_layers.coverage import Dims, covered, fold


def prelu(x: Tensor, weight: Tensor) -> Tensor | None:
    """``F.prelu`` of (n, c, ...) with c slopes, or None where it is not covered."""
    if x.ndim < 2 or weight.shape != x.shape[1:2] or not x.numel() or not covered(x, weight):
        return None
    y: Tensor = _PReLU.apply(x, weight)
    return y


class _PReLU(Function):
    """(n, c, ...) and (c,) slopes -> (n, c, ...)."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return torch.prelu(x, weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        gx, gw = _PReLUBackward.apply(gy, *ctx.saved_tensors, ctx.needs_input_grad[1])
        return gx, gw

    @staticmethod
    def vmap(info: Any, dims: Dims, x: Tensor, weight: Tensor) -> tuple[Tensor, int]:
        tasks = info.batch_size
        y = _PReLU.apply(fold(x, dims[0], 1, tasks), fold(weight, dims[1], 0, tasks))
        return y.unflatten(1, (tasks, -1)), 1


class _PReLUBackward(Function):
    """S(gy), and sum(x below(gy)) by channel if it is wanted."""

    @staticmethod
    def forward(
        gy: Tensor, x: Tensor, weight: Tensor, by_weight: bool
    ) -> tuple[Tensor, Tensor | None]:
        return _sloped(gy, x, weight), products(gy, x.clamp(max=0))[0] if by_weight else None

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[:3])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, v: Tensor | None, va: Tensor | None) -> tuple[Tensor | None, ...]:
        gy, x, weight = ctx.saved_tensors
        by_gy, by_x, by_weight = ctx.needs_input_grad[:3]
        dgy = dx = dw = None
        below = gy - torch.ops.aten.threshold_backward(gy, x, 0)
        if by_gy and v is not None:
            dgy, _ = _PReLUBackward.apply(v, x, weight, False)
        if by_gy and va is not None:
            curve = along_channels(va, x) * x.clamp(max=0)
            dgy = curve if dgy is None else dgy + curve
        if by_x and va is not None:
            dx = along_channels(va, x) * below
        if by_weight and v is not None:
            # The reduction is differentiable to no further order, a plain sum is.
            third = torch.is_grad_enabled()
            dw = (v * below).transpose(0, 1).flatten(1).sum(1) if third else products(v, below)[0]
        return dgy, dx, dw, None


def _sloped(g: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """S(g)."""
    above: Tensor = torch.ops.aten.threshold_backward(g, x, 0)
    return above.lerp_(g, along_channels(weight, x))
