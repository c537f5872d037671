"""Convolution, which is closed under differentiation because it is bilinear.

y = C(x, w) has the adjoint C'(gy, w) with respect to x and C"(x, gy) with respect to w, and the
derivatives of the three are these three again, with other arguments. PyTorch emulates the
derivatives of the two adjoints, one group of channels after the other.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from mfr.meta.closed_layers.coverage import Dims, covered, fold

_aten = torch.ops.aten


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor | None:
    """``F.conv2d`` of (n, c, h, w) images, or None where this does not cover it."""
    if isinstance(padding, str) or x.ndim != 4 or not covered(x, weight, bias):
        return None
    y: Tensor = _Convolution.apply(
        x, weight, bias, _pair(stride), _pair(padding), _pair(dilation), groups
    )
    return y


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


class _Convolution(Function):
    """C(x, w) + bias: (n, c, h, w) images, (o, c / groups, kh, kw) weights -> (n, o, h', w')."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
        stride, padding, dilation, groups = how
        y: Tensor = _aten.convolution(
            x, weight, bias, stride, padding, dilation, False, (0, 0), groups
        )
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, *ctx.how = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        gx, gw, gb = _ConvolutionBackward.apply(gy, x, weight, wanted, *ctx.how)
        return gx, gw, gb, None, None, None, None

    @staticmethod
    def vmap(
        info: Any, dims: Dims, x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any
    ) -> tuple[Tensor, int]:
        tasks = info.batch_size
        *rest, groups = how
        y = _Convolution.apply(
            fold(x, dims[0], 1, tasks),
            fold(weight, dims[1], 0, tasks),
            None if bias is None else fold(bias, dims[2], 0, tasks),
            *rest,
            groups * tasks,
        )
        return y.unflatten(1, (tasks, -1)), 1


class _ConvolutionBackward(Function):
    """C'(gy, w), C"(x, gy) and the sum of gy in each channel; None for those not wanted."""

    @staticmethod
    def forward(
        gy: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool], *how: Any
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        stride, padding, dilation, groups = how
        gx, gw, gb = _aten.convolution_backward(
            gy, x, weight, weight.shape[:1], stride, padding, dilation, False, (0, 0), groups,
            wanted,
        )  # fmt: skip
        return gx, gw, gb

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        gy, x, weight, _, *ctx.how = inputs
        ctx.save_for_backward(gy, x, weight)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(
        ctx: Any, vx: Tensor | None, vw: Tensor | None, vb: Tensor | None
    ) -> tuple[Any, ...]:
        gy, x, weight = ctx.saved_tensors
        by_gy, by_x, by_weight = ctx.needs_input_grad[:3]
        dgy = dx = dw = None
        if by_gy:
            pairs = [] if vx is None else [(vx, weight)]
            pairs += [] if vw is None else [(x, vw)]
            for images, weights in pairs:
                # vb enters once, as the bias of the first term.
                term = _Convolution.apply(images, weights, vb if dgy is None else None, *ctx.how)
                dgy = term if dgy is None else dgy + term
            if dgy is None and vb is not None:
                dgy = vb.view(-1, 1, 1).expand_as(gy)
        if by_x and vw is not None:
            dx = _ConvolutionBackward.apply(gy, x, vw, (True, False, False), *ctx.how)[0]
        if by_weight and vx is not None:
            dw = _ConvolutionBackward.apply(gy, vx, weight, (False, True, False), *ctx.how)[1]
        return dgy, dx, dw, None, None, None, None, None
