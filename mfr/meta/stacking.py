"""A network run on many tasks at once, with parameters of its own for each."""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call, vmap

from mfr.meta.closed_layers import closed_layers
from mfr.meta.functional import Params


def forward_stacked(network: nn.Module, params: Params, inputs: Tensor) -> Tensor:
    """`forward_isolated` for T tasks: (T, n, ...) inputs at (T, ...) parameters -> (T, n, ...).

    Only the forward pass is vectorised by `torch.func.vmap`. Gradients, of any order, are taken
    outside it by autograd, which then sees the batched operations alone; differentiating inside
    vmap gives wrong second derivatives through normalisation layers (scripts/
    check_vmap_normalisation.py).
    """
    stack = len(inputs)
    buffers = {
        name: buffer.expand(stack, *buffer.shape).clone()
        for name, buffer in network.named_buffers()
    }
    with closed_layers():
        return vmap(
            lambda values, x: functional_call(network, values, (x,)), randomness="different"
        )({**buffers, **params}, inputs)
