"""Attention with second derivatives.

PyTorch computes attention by fused kernels (flash attention and the like), whose backward passes
cannot be differentiated. Where a second derivative will be taken, it is computed from matrix
products and a softmax instead: the same values up to rounding, at the price of a matrix of
attention weights in memory. PyTorch can be told so by `torch.nn.attention.sdpa_kernel`, but for
the whole process, other threads included, so that is not used here.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``F.scaled_dot_product_attention`` by PyTorch's own mathematical kernel."""
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        # The kernel adds its mask, as PyTorch's function does after the same conversion.
        hidden = torch.zeros_like(attn_mask, dtype=query.dtype)
        attn_mask = hidden.masked_fill(attn_mask.logical_not(), float("-inf"))
    output: Tensor = torch.ops.aten._scaled_dot_product_attention_math(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
    )[0]
    return output


def _calling_ours(function: Any) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """A copy of PyTorch's function that calls our attention where the original calls PyTorch's.

    Functions that PyTorch writes in Python are seen as one call by a mode, which does not see what
    they call in turn.
    """
    names = {
        **function.__globals__,
        "scaled_dot_product_attention": attention,
        "has_torch_function": lambda tensors: False,
    }
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


multi_head_attention = _calling_ours(F.multi_head_attention_forward)
"""``F.multi_head_attention_forward`` with that attention."""
