"""Adversarial inputs: every pixel moves by at most eps, in a way that raises a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from mfr.errors import TrainingError
from mfr.meta.derivatives import Evaluation

InputLoss = Callable[[Tensor], Tensor]
"""Inputs -> a loss, or several losses whose sum is attacked.

With stacked tasks, (T, n, c, h, w), the sum of the tasks' losses attacks each task independently.
What a pass does to running statistics is up to the function: ``forward_isolated`` leaves them.
"""

STEPS: Final = 7  # Madry et al. 2018 train on CIFAR-10 with 7 steps of 2/255 in a ball of 8/255


class Attack(Protocol):
    """A way to make adversarial inputs.

    An attack keeps within its ball around the inputs and within the range of pixels, changes
    neither the inputs nor any parameter's ``.grad``, and draws only from the generator it is given.
    """

    def __call__(
        self, loss: InputLoss, inputs: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Inputs near ``inputs`` at which ``loss`` is larger, detached from any graph."""
        ...


@dataclass(frozen=True)
class FGSM:
    """The fast gradient sign method: x + eps sign(grad_x L(x)) (Goodfellow et al. 2015).

    On a loss that is linear in its inputs, no attack with the same eps is stronger.

    Attributes:
        eps: how far a pixel may move, in the scale of the inputs.
        low: the smallest value of a pixel, in the same scale.
        high: the largest.
    """

    eps: float
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        _check(self.eps, self.low, self.high)

    def __call__(
        self, loss: InputLoss, inputs: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The attacked inputs; nothing here is random, so ``generator`` is not used.

        Raises:
            TrainingError: the gradient of the loss contains NaN.
            ValueError: inputs are outside [low, high].
        """
        clean = _clean(inputs, self.low, self.high)
        moved = clean + self.eps * _ascent(loss, clean)
        return _projected(moved, clean, self.eps, self.low, self.high)


@dataclass(frozen=True)
class PGD:
    """Projected gradient descent on -L (Madry et al. 2018).

    Each sign step is followed by the projection onto the ball of radius eps in the maximum norm,
    and onto the pixel range.

    Attributes:
        eps: how far a pixel may move, in the scale of the inputs.
        step_size: how far a single step moves it.
        steps: how many steps are taken.
        random_start: start at a point drawn uniformly from the ball instead of at the inputs.
        low: the smallest value of a pixel, in the same scale.
        high: the largest.
    """

    eps: float
    step_size: float
    steps: int = STEPS
    random_start: bool = True
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        _check(self.eps, self.low, self.high)
        if not 0 < self.step_size < float("inf"):
            raise ValueError(f"step_size is {self.step_size}; it must be positive and finite")
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; an attack takes at least one")

    def __call__(
        self, loss: InputLoss, inputs: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The attacked inputs; the random start is drawn from ``generator``.

        The start is drawn on the generator's device, so a CPU generator gives the same one
        wherever the inputs are.

        Raises:
            TrainingError: the gradient of the loss contains NaN.
            ValueError: inputs are outside [low, high], or a random start has no generator.
        """
        clean = _clean(inputs, self.low, self.high)
        moved = clean
        if self.random_start:
            if generator is None:
                raise ValueError("a random start draws from a generator; pass one, seeded")
            uniform = torch.rand(
                clean.shape, generator=generator, dtype=clean.dtype, device=generator.device
            )
            moved = clean + self.eps * (2 * uniform.to(clean.device) - 1)
            moved = _projected(moved, clean, self.eps, self.low, self.high)
        for _ in range(self.steps):
            moved = moved + self.step_size * _ascent(loss, moved)
            moved = _projected(moved, clean, self.eps, self.low, self.high)
        return moved


def _check(eps: float, low: float, high: float) -> None:
    """Refuse an invalid ball or range, NaN included."""
    if not 0 <= eps < float("inf"):
        raise ValueError(f"eps is {eps}; it must be finite and not negative")
    if not low < high:
        raise ValueError(f"pixels cannot reach from {low} to {high}")


def _clean(inputs: Tensor, low: float, high: float) -> Tensor:
    """The inputs without their graph; they must lie in the range.

    Clipping pixels of another scale, such as normalised ones, to [0, 1] would move them by far more
    than eps and look like an attack. Rounding at the ends of the range is tolerated.
    """
    if not inputs.is_floating_point():
        raise ValueError(f"an attack moves floating-point pixels, not {inputs.dtype}")
    clean = inputs.detach()
    if clean.numel():
        slack = 4 * torch.finfo(clean.dtype).eps * max(abs(low), abs(high))
        least, most = (float(end) for end in clean.aminmax())
        if not (low - slack <= least and most <= high + slack):  # so NaN does not pass
            raise ValueError(
                f"pixels reach from {least:g} to {most:g}, outside [{low:g}, {high:g}]; "
                "low and high are in the inputs' own scale"
            )
    return clean


def _ascent(loss: InputLoss, at: Tensor) -> Tensor:
    """The sign of the loss's gradient with respect to its inputs: -1, 0 or 1 for each pixel."""
    leaf = at.detach().requires_grad_()
    with torch.enable_grad():
        # With respect to the inputs alone, so that the parameters' .grad stays as it is.
        (gradient,) = Evaluation(lambda _: {"loss": loss(leaf)}, {}).gradients([leaf])
    # sign(NaN) is 0, so a network that cannot be attacked would look robust.
    if gradient.isnan().any():
        raise TrainingError(
            "the gradient of the loss with respect to its inputs is NaN; no attack can follow it"
        )
    return gradient.sign()


def _projected(moved: Tensor, clean: Tensor, eps: float, low: float, high: float) -> Tensor:
    """The nearest point within eps of ``clean`` and inside the range, both of which are boxes."""
    return torch.minimum(torch.maximum(moved, clean - eps), clean + eps).clamp(low, high)
