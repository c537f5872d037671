"""Layers whose second derivative PyTorch lacks or has wrong: same values, right derivatives."""

import pytest
import torch
from torch import nn
from torch.autograd import gradgradcheck
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from mfr.meta.closed_layers import closed_layers, differentiated_twice


def replaced(function, *args, **kwargs):
    with differentiated_twice(), closed_layers():
        return function(*args, **kwargs)


def heads(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)
        for _ in range(3)
    ]


ATTENTION = {
    "plain": {},
    "causal": {"is_causal": True},
    "scale": {"scale": 0.3},
    "mask": {"attn_mask": torch.tensor([[True, False, True], [True] * 3, [False] * 3])},
    "bias": {"attn_mask": torch.arange(9.0, dtype=torch.float64).reshape(3, 3)},
}


@pytest.mark.parametrize("kind", ATTENTION)
def test_attention_is_pytorchs_and_differentiable_twice(kind):
    """Also where a row of the mask lets nothing through, which by itself would be 0/0."""
    inputs, how = heads(2, 2, 3, 4), ATTENTION[kind]
    expected = F.scaled_dot_product_attention(*inputs, **how)
    found = replaced(F.scaled_dot_product_attention, *inputs, **how)
    torch.testing.assert_close(found, expected)
    assert gradgradcheck(lambda *x: replaced(F.scaled_dot_product_attention, *x, **how), inputs)


@pytest.mark.parametrize("weights", [True, False])
def test_multi_head_attention_is_pytorchs(weights):
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, batch_first=True).double()
    query, key, value = heads(2, 3, 4)
    hidden = torch.tensor([[False, True, False], [True, True, True]])  # nothing left of the second
    given = {"key_padding_mask": hidden, "need_weights": weights}
    for found, expected in zip(
        replaced(layer, query, key, value, **given), layer(query, key, value, **given), strict=True
    ):
        if expected is None:
            assert found is None
        else:
            torch.testing.assert_close(found, expected, equal_nan=True)


def test_multi_head_attention_is_differentiable_twice():
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(2, 2).double()
    inputs = heads(2, 1, 2)
    assert gradgradcheck(lambda *x: replaced(layer, *x, need_weights=False)[0], inputs)


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_no_switch_of_the_process_is_touched(backend):
    """Where only flash attention is allowed, PyTorch's function would fail after a switch."""
    seen = []

    def flags():
        return (
            torch.backends.cuda.flash_sdp_enabled(),
            torch.backends.cuda.math_sdp_enabled(),
            torch.backends.mha.get_fastpath_enabled(),
        )

    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    layer.register_forward_hook(lambda *_: seen.append(flags()))
    with sdpa_kernel(backend):
        before = flags()
        replaced(layer, *(x.float() for x in heads(2, 3, 4)), need_weights=False)
        assert seen == [before] and flags() == before


def test_first_derivatives_keep_the_fused_kernels():
    graphs = []
    for run in (lambda f, *x: f(*x), replaced):
        output = run(F.scaled_dot_product_attention, *heads(2, 2, 3, 4))
        graphs.append(output.grad_fn.name())
    with closed_layers():
        graphs.append(F.scaled_dot_product_attention(*heads(2, 2, 3, 4)).grad_fn.name())
    assert graphs[2] == graphs[0] != graphs[1]


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_weight_normalisation_is_pytorchs_with_the_right_second_derivative(dim):
    v = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    g = torch.norm_except_dim(v, 2, dim).detach().requires_grad_()
    expected = torch._weight_norm(v, g, dim)
    torch.testing.assert_close(replaced(torch._weight_norm, v, g, dim), expected)
    assert gradgradcheck(lambda *x: replaced(torch._weight_norm, *x, dim), (v, g))
