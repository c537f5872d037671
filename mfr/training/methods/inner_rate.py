"""Whether a network stands its inner rate: whether it still tells people apart after a step.

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

_COLLAPSED: Final = 0.9
"""So much of the way from what it was to chance has soft classification gone in a collapse."""
_TENTHS: Final = 6


def refuse_harmful_rate(
    network: FaceNetwork, support: Objective, alpha: float, chance: float
) -> None:
    """Take one inner step, at the weights that training starts from, and see what it does.

    Args:
        network: in the mode in which it is trained; it stays as it is.
        support: the losses on meta-train (L_S), ``classification`` among them; it leaves the
            network's buffers as they are.
        alpha: the inner rate.
        chance: what ``classification`` is where nobody is told from anybody.

    Raises:
        TrainingError: ``classification`` comes near chance; the sentence names a rate at which the
            step lowers the loss.
    """
    params = parameters_of(network)
    losses = support(params)
    gradients = torch.autograd.grad(total(losses), list(params.values()), allow_unused=True)
    found, loss = (float(one.detach()) for one in (losses["classification"], total(losses)))
    if found >= chance:  # before any step
        return
    after = _after(support, params, gradients, alpha)["classification"]
    if after < found + _COLLAPSED * (chance - found):
        return
    lower = (alpha / 10**tenths for tenths in range(1, _TENTHS + 1))
    fitting = next((a for a in lower if _after(support, params, gradients, a)["sum"] < loss), None)
    such_as = "" if fitting is None else f", such as {fitting:g}"
    raise TrainingError(
        f"An inner step at the rate {alpha:g} leaves this network telling nobody from anybody (its "
        f"soft classification loss goes from {found:.2f} to {after:.2f}, and is {chance:.2f} by "
        f"chance): give a lower --alpha{such_as}."
    )


@torch.no_grad()
def _after(
    support: Objective,
    params: Params,
    gradients: tuple[torch.Tensor | None, ...],
    alpha: float,
) -> dict[str, float]:
    """``classification`` and the ``sum`` of all losses after a step; infinite for NaN."""
    ahead = {
        name: value if gradient is None else value - alpha * gradient
        for (name, value), gradient in zip(params.items(), gradients, strict=True)
    }
    losses = support(ahead)
    both = {"classification": losses["classification"], "sum": total(losses)}
    return {name: float(loss.nan_to_num(float("inf"))) for name, loss in both.items()}
