"""A network run on many tasks at once, with separate parameters for each task."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.func import vmap

from mfr.meta.functional import Params
from mfr.meta.substitution import substituted

OfTask = Callable[..., Tensor]
"""A network's outputs for one task, and other tensors of that task -> a result for that task."""


def forward_stacked(
    network: nn.Module,
    params: Params,
    inputs: Tensor,
    *others: Tensor,
    then: OfTask = lambda outputs: outputs,
) -> Tensor:
    """`forward_isolated` for T tasks: (T, n, ...) inputs at (T, ...) parameters -> (T, n, ...).

    With ``then``, such as a loss, it returns ``then(outputs, *others)`` of each task, where
    ``others`` are tensors with a first axis of T: a separate pass through vmap would cost as much
    as a layer.

    Only the forward pass is vectorised by `torch.func.vmap`. Gradients of any order are taken
    outside it, by autograd, which then sees batched operations only. Differentiating inside vmap
    gives wrong second derivatives through normalisation layers (measured by
    scripts.study.check_vmap_normalisation).
    """
    stack = len(inputs)
    buffers = {
        name: buffer.expand(stack, *buffer.shape).clone()
        for name, buffer in network.named_buffers()
    }

    def of_task(values: Params, x: Tensor, *others: Tensor) -> Tensor:
        # Entered inside vmap rather than around it, so that it does not see vmap's own operations.
        with substituted(network, values, readable_later=False):
            outputs = network(x)
        return then(outputs, *others)

    return vmap(of_task, randomness="different")({**buffers, **params}, inputs, *others)
