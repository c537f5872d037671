"""Whether an inner step does what it is for: lower the loss that it descends.

Networks differ by orders of magnitude in the rate that they stand. Where a step throws the network
off, the meta-test gradient is taken at a network that recognises nobody, and nothing in a run says
so but figures that few people read.
"""

from __future__ import annotations

from typing import Final

import torch

from mfr.errors import TrainingError
from mfr.meta.functional import Objective, Params, parameters_of, total
from mfr.training.methods.network import FaceNetwork

_WORSE: Final = 2.0
"""A step that makes the loss so many times as large has thrown the network off."""
_TENTHS: Final = 6


def refuse_harmful_rate(network: FaceNetwork, support: Objective, alpha: float) -> None:
    """Take one inner step, at the weights that training starts from, and see what it does.

    Args:
        network: in the mode in which it is trained; it stays as it is.
        support: the loss on meta-train (L_S), which leaves the network's buffers as they are.
        alpha: the inner rate.

    Raises:
        TrainingError: the step doubles the loss; the sentence names a rate that lowers it.
    """
    params = parameters_of(network)
    loss = total(support(params))
    gradients = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    before = float(loss.detach())
    after = _loss_after(support, params, gradients, alpha)
    if after < _WORSE * before:
        return
    lower = (alpha / 10**tenths for tenths in range(1, _TENTHS + 1))
    fitting = next((a for a in lower if _loss_after(support, params, gradients, a) < before), None)
    such_as = "" if fitting is None else f", such as {fitting:g}"
    raise TrainingError(
        f"An inner step at the rate {alpha:g} takes the loss of this network on meta-train from "
        f"{before:.1f} to {after:.1f}, which it should lower: give a lower --alpha{such_as}."
    )


@torch.no_grad()
def _loss_after(
    support: Objective,
    params: Params,
    gradients: tuple[torch.Tensor | None, ...],
    alpha: float,
) -> float:
    """The loss after a step; infinite where it is NaN."""
    ahead = {
        name: value if gradient is None else value - alpha * gradient
        for (name, value), gradient in zip(params.items(), gradients, strict=True)
    }
    return float(total(support(ahead)).nan_to_num(float("inf")))
