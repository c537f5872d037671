"""Batch normalisation, closed under differentiation.

For each channel, which has M values, it is y = w xhat + b with xhat = r (x - mean) and
r = 1 / sqrt(var + eps). Its gradient with respect to x is w B(gy) with

    B(g) = r (g - <g> - <g xhat> xhat),        <.> the mean over the M values,

which is self-adjoint in g. Let v be the cotangent of w B(gy), a = <gy xhat>, b = <v xhat> and
s = <v gy> - <v><gy> - a b. Then the derivative of sum(v w B(gy)) is w B(v) with respect to gy,
M r s with respect to w, and with respect to x

    -w r^2 (b (gy - <gy>) + a (v - <v>) + (s - 2 a b) xhat).

All sums come from two reductions, and each derivative is a sum of tensors with one factor for each
channel; PyTorch makes some thirty passes over memory for them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from mfr.meta.closed_layers.channels import along_channels, products, products_with
from mfr.meta.closed_layers.coverage import Dims, covered, fold


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    """``F.batch_norm`` with the batch's statistics, or None where this does not cover it."""
    if not training or x.ndim < 2 or not covered(x, weight, bias):
        return None
    if x.numel() <= x.shape[1]:  # at most one value in a channel, which PyTorch refuses
        return None
    y: Tensor = _BatchNorm.apply(x, weight, bias, running_mean, running_var, momentum, eps)[0]
    return y


class _BatchNorm(Function):
    """(n, c, ...) -> the same normalised by this batch, and mean and r of each channel.

    Running statistics, if given, are updated as PyTorch updates them, by the same kernel.
    """

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        momentum: float,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        y, mean, r = torch.native_batch_norm(
            x, weight, bias, running_mean, running_var, True, momentum, eps
        )
        return y, mean, r

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, weight = inputs[:2]
        _, mean, r = output
        ctx.mark_non_differentiable(mean, r)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight, mean, r)
        ctx.eps = inputs[-1]

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None, *_: None) -> tuple[Any, ...]:
        if gy is None:
            return (None,) * 7
        x, weight, mean, r = ctx.saved_tensors
        _, by_weight, by_bias = ctx.needs_input_grad[:3]
        gx, gw, gb = _BatchNormBackward.apply(gy, x, weight, mean, r, ctx.eps)
        return gx, gw if by_weight else None, gb if by_bias else None, None, None, None, None

    @staticmethod
    def vmap(
        info: Any, dims: Dims, x: Tensor, *others: Any
    ) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[int, int, int]]:
        tasks = info.batch_size
        folded = (
            fold(t, d, 0, tasks) if isinstance(t, Tensor) else t
            for t, d in zip(others, dims[1:], strict=True)
        )
        y, mean, r = _BatchNorm.apply(fold(x, dims[0], 1, tasks), *folded)
        return (
            y.unflatten(1, (tasks, -1)),
            mean.unflatten(0, (tasks, -1)),
            r.unflatten(0, (tasks, -1)),
        ), (1, 0, 0)


class _BatchNormBackward(Function):
    """(w B(gy), sum(gy xhat), sum(gy)), with a sum for each channel."""

    @staticmethod
    def forward(
        gy: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, r: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        gx, gw, gb = torch.ops.aten.native_batch_norm_backward(
            gy, x, weight, None, None, mean, r, True, eps, (True, True, True)
        )
        return gx, gw, gb

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *tensors, ctx.eps = inputs
        _, gw, gb = output
        ctx.save_for_backward(*tensors, gw, gb)

    @staticmethod
    def backward(ctx: Any, v: Tensor, vw: Tensor, vb: Tensor) -> tuple[Any, ...]:
        gy, x, weight, mean, r, gw, gb = ctx.saved_tensors
        if torch.is_grad_enabled():  # third order: without fast kernels, but exact
            # As new tensors, because gy itself may depend on x.
            given = [t.view_as(t) for t in (gy, x, weight) if t is not None]
            outputs = _spelt_out(ctx.eps, *given)
            wanted = [t for t, by in zip(given, ctx.needs_input_grad, strict=False) if by]
            found = iter(torch.autograd.grad(outputs, wanted, (v, vw, vb), create_graph=True))
            return tuple(next(found) if by else None for by in ctx.needs_input_grad)
        count = x.numel() // x.shape[1]
        v_xhat, _ = products_with(v, x, mean, r)
        v_gy, v_sum = products(v, gy)
        a, b, mean_g, mean_v = gw / count, v_xhat / count, gb / count, v_sum / count
        s = v_gy / count - mean_v * mean_g - a * b
        wr = r if weight is None else weight * r
        # by gy: wr (v - <v> - b xhat) + vw xhat + vb
        dgy = _combine((v, wr), (x, vw - wr * b), offset=vb - wr * mean_v, mean=mean, r=r)
        dx = None
        if ctx.needs_input_grad[1]:
            # by x: the formula above for v, and B(gy) for the cotangent of sum(gy xhat)
            by_gy, by_v = vw * r - wr * r * b, -wr * r * a
            by_xhat = -wr * r * (s - 2 * a * b) - vw * r * a
            dx = _combine(
                (gy, by_gy), (v, by_v), (x, by_xhat),
                offset=-by_gy * mean_g - by_v * mean_v, mean=mean, r=r,
            )  # fmt: skip
        return dgy, dx, count * r * s if ctx.needs_input_grad[2] else None, None, None, None


def _spelt_out(
    eps: float, gy: Tensor, x: Tensor, weight: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """What `_BatchNormBackward` computes, in elementary differentiable operations."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    r = (x.var(axes, correction=0, keepdim=True) + eps).rsqrt()
    xhat = r * (x - x.mean(axes, keepdim=True))
    centred = gy - gy.mean(axes, keepdim=True) - xhat * (gy * xhat).mean(axes, keepdim=True)
    gx = r * centred
    if weight is not None:
        gx = gx * weight.view(r.shape)
    return gx, (gy * xhat).sum(axes), gy.sum(axes)


def _combine(*terms: tuple[Tensor, Tensor], offset: Tensor, mean: Tensor, r: Tensor) -> Tensor:
    """The sum of tensors times a factor for each channel; the last tensor, x, stands for xhat."""
    *others, (x, by_xhat) = terms
    # Normalisation by given statistics is the fastest way to x * factor + offset for each channel.
    result, _, _ = torch.native_batch_norm(
        x, by_xhat * r, offset - by_xhat * r * mean, torch.zeros_like(r), torch.ones_like(r),
        False, 0.0, 0.0,
    )  # fmt: skip
    for tensor, factor in others:
        result.addcmul_(tensor, along_channels(factor, x))
    return result
