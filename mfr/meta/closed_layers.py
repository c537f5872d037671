"""Convolution and batch normalisation whose second derivatives are as fast as their first.

PyTorch differentiates a convolution's backward pass by emulation, group after group, and that of
batch normalisation by some thirty passes over memory. Both families are closed under
differentiation, though: what a derivative of any order needs is again one of a few operations that
have fast kernels. `closed_layers` puts such functions in the place of ``F.conv2d`` and
``F.batch_norm`` while a network runs, whatever network it is; values and gradients stay what they
are up to rounding.

**Convolution** is bilinear. y = C(x, w) has the adjoints C'(gy, w) by x and C"(x, gy) by w, and all
derivatives of the three are these three again, at other arguments.

**Batch normalisation**, a channel of M values at a time, is y = w xhat + b with
xhat = r (x - mean), r = 1 / sqrt(var + eps). Its gradient is w B(gy) with

    B(g) = r (g - <g> - <g xhat> xhat),        <.> the mean over the M values,

which is self-adjoint in g. With v the cotangent of w B(gy), a = <gy xhat>, b = <v xhat> and
s = <v gy> - <v><gy> - a b, differentiating sum(v w B(gy)) gives w B(v) by gy, M r s by w, and

    -w r^2 (b (gy - <gy>) + a (v - <v>) + (s - 2 a b) xhat)        by x.

All sums come from two reductions, and each derivative is a sum of tensors with one factor a
channel.

Under `torch.func.vmap`, T tasks with parameters of their own are T groups of channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Dims = tuple["int | None", ...]
_aten = torch.ops.aten


class closed_layers(TorchFunctionMode):  # noqa: N801 - a context manager
    """While entered, ``F.conv2d`` and ``F.batch_norm`` are the functions of this module.

    Only where they are known to be right and to pay: on the CPU, batch normalisation by the
    statistics of its batch, no autocast and no forward-mode derivatives. All else is PyTorch's.

    Images stay in the layout they come in: PyTorch's batch normalisation is faster channels last,
    but less exact there, which was seen to move gradients in float32 by up to 2%.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """What runs instead of ``func(*args, **kwargs)``."""
        kwargs = kwargs or {}
        found = None
        if func is F.conv2d:
            found = _conv2d(*args, **kwargs)
        elif func is F.batch_norm:
            found = _batch_norm(*args, **kwargs)
        return func(*args, **kwargs) if found is None else found


def _covered(*tensors: Tensor | None) -> bool:
    # Forward mode is on between entering a dual level and leaving it; torch has no public question
    # for that which vmap would answer.
    if forward_ad._current_level >= 0 or torch.is_autocast_enabled("cpu"):
        return False
    return all(
        t is None or (t.device.type == "cpu" and t.dtype in (torch.float32, torch.float64))
        for t in tensors
    )


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor | None:
    """``F.conv2d`` of (n, c, h, w) images, or None where it is not covered."""
    if isinstance(padding, str) or x.ndim != 4 or not _covered(x, weight, bias):
        return None
    y: Tensor = _Convolution.apply(
        x, weight, bias, _pair(stride), _pair(padding), _pair(dilation), groups
    )
    return y


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    """``F.batch_norm`` by the batch's statistics, or None where it is not covered."""
    if not training or x.ndim < 2 or not _covered(x, weight, bias):
        return None
    if x.numel() <= x.shape[1]:  # one value a channel, or none: for PyTorch to refuse
        return None
    y: Tensor = _BatchNorm.apply(x, weight, bias, running_mean, running_var, momentum, eps)[0]
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
            _fold(x, dims[0], 1, tasks),
            _fold(weight, dims[1], 0, tasks),
            None if bias is None else _fold(bias, dims[2], 0, tasks),
            *rest,
            groups * tasks,
        )
        return y.unflatten(1, (tasks, -1)), 1


class _ConvolutionBackward(Function):
    """C'(gy, w), C"(x, gy) and the sums of gy by channel: those that are wanted, else None."""

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
                # The bias of the first is the share of vb.
                term = _Convolution.apply(images, weights, vb if dgy is None else None, *ctx.how)
                dgy = term if dgy is None else dgy + term
            if dgy is None and vb is not None:
                dgy = vb.view(-1, 1, 1).expand_as(gy)
        if by_x and vw is not None:
            dx = _ConvolutionBackward.apply(gy, x, vw, (True, False, False), *ctx.how)[0]
        if by_weight and vx is not None:
            dw = _ConvolutionBackward.apply(gy, vx, weight, (False, True, False), *ctx.how)[1]
        return dgy, dx, dw, None, None, None, None, None


class _BatchNorm(Function):
    """(n, c, ...) -> the same normalised by this batch, and its mean and r by channel.

    Running statistics, where given, move as PyTorch moves them: by the same kernel.
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
            _fold(t, d, 0, tasks) if isinstance(t, Tensor) else t
            for t, d in zip(others, dims[1:], strict=True)
        )
        y, mean, r = _BatchNorm.apply(_fold(x, dims[0], 1, tasks), *folded)
        return (
            y.unflatten(1, (tasks, -1)),
            mean.unflatten(0, (tasks, -1)),
            r.unflatten(0, (tasks, -1)),
        ), (1, 0, 0)


class _BatchNormBackward(Function):
    """(w B(gy), sum(gy xhat), sum(gy)), the sums by channel."""

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
        if torch.is_grad_enabled():  # third order: no kernels, but exact
            # Under other names, for gy itself may depend on x.
            given = [t.view_as(t) for t in (gy, x, weight) if t is not None]
            outputs = _spelt_out(ctx.eps, *given)
            wanted = [t for t, by in zip(given, ctx.needs_input_grad, strict=False) if by]
            found = iter(torch.autograd.grad(outputs, wanted, (v, vw, vb), create_graph=True))
            return tuple(next(found) if by else None for by in ctx.needs_input_grad)
        count = x.numel() // x.shape[1]
        zero, one = torch.zeros_like(mean), torch.ones_like(r)
        v_xhat, _ = _products(v, x, mean, r)
        v_gy, v_sum = _products(v, gy, zero, one)
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
    """What `_BatchNormBackward` computes, in elementary operations."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    r = (x.var(axes, correction=0, keepdim=True) + eps).rsqrt()
    xhat = r * (x - x.mean(axes, keepdim=True))
    centred = gy - gy.mean(axes, keepdim=True) - xhat * (gy * xhat).mean(axes, keepdim=True)
    gx = r * centred
    if weight is not None:
        gx = gx * weight.view(r.shape)
    return gx, (gy * xhat).sum(axes), gy.sum(axes)


def _products(g: Tensor, x: Tensor, mean: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """sum(g xhat) and sum(g) by channel."""
    _, with_x, alone = _aten.native_batch_norm_backward(
        g, x, None, None, None, mean, r, True, 0.0, (False, True, True)
    )
    return with_x, alone


def _combine(*terms: tuple[Tensor, Tensor], offset: Tensor, mean: Tensor, r: Tensor) -> Tensor:
    """The sum of tensors times factors by channel; the last tensor is x and stands for xhat."""
    *others, (x, by_xhat) = terms
    # Normalisation by given statistics is the fastest x * factor + offset by channel there is.
    result, _, _ = torch.native_batch_norm(
        x, by_xhat * r, offset - by_xhat * r * mean, torch.zeros_like(r), torch.ones_like(r),
        False, 0.0, 0.0,
    )  # fmt: skip
    shape = (-1,) + (1,) * (x.ndim - 2)
    for tensor, factor in others:
        result.addcmul_(tensor, factor.view(shape))
    return result


def _fold(tensor: Tensor, dim: int | None, into: int, tasks: int) -> Tensor:
    """Fold the axis of tasks into axis ``into`` of one task's tensor, tasks outermost."""
    if dim is None:
        tensor, dim = tensor.unsqueeze(0).expand(tasks, *tensor.shape), 0
    return tensor.movedim(dim, into).flatten(into, into + 1)
