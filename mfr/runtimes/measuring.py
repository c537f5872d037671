"""How fast each runtime is on this machine, and whether it computes what it should."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.nn import functional as F

from mfr.errors import MfrError
from mfr.runtimes import RUNTIMES, build_runtime
from mfr.runtimes.choice import Choice
from mfr.runtimes.precision import EXACT, PRECISIONS

BATCHES: Final = (1, 16)
"""A photograph at a time, and many."""
AGREEMENT: Final = 0.9999
"""The lowest cosine between the features of two runtimes that both compute in float32."""
_ROUNDS: Final = 7


@dataclass(frozen=True)
class Measured:
    """One runtime in one precision.

    Attributes:
        choice: which.
        rates: network inputs a second at each of `BATCHES`; empty if it cannot be used.
        cosine: the lowest between its features of noise and PyTorch's in float32.
        why_not: why it cannot be used.
    """

    choice: Choice
    rates: tuple[float, ...] = ()
    cosine: float = 0.0
    why_not: str | None = None


@torch.inference_mode()
def measure(network: nn.Module, size: tuple[int, int]) -> list[Measured]:
    """Try every runtime in every precision, PyTorch in float32 first; some seconds each.

    Args:
        network: in evaluation mode, on the CPU.
        size: height and width of its input.
    """
    images = torch.randn(max(BATCHES), 3, *size, generator=torch.Generator().manual_seed(0))
    found: list[Measured] = []
    exact: torch.Tensor | None = None
    for runtime in RUNTIMES.names():
        for precision in PRECISIONS:
            choice = Choice(runtime, precision)
            try:
                features = build_runtime(runtime, network, size=size, precision=precision).features
                computed = features(images)
            except MfrError as error:
                found.append(Measured(choice, why_not=str(error)))
                continue
            exact = computed if exact is None else exact
            rates = []
            for batch in BATCHES:
                seconds = []
                for _ in range(_ROUNDS):
                    begin = time.perf_counter()
                    features(images[:batch])
                    seconds.append(time.perf_counter() - begin)
                rates.append(batch / statistics.median(seconds))
            cosine = float(F.cosine_similarity(computed, exact).min())
            found.append(Measured(choice, tuple(rates), cosine))
    return found


def fastest(measured: Sequence[Measured]) -> Choice:
    """The fastest that computes in float32 and agrees with PyTorch, by the mean of both batches."""
    fit = [
        one
        for one in measured
        if one.rates and one.choice.precision == EXACT and one.cosine >= AGREEMENT
    ]
    best = max(fit, key=lambda one: statistics.geometric_mean(one.rates), default=None)
    return Choice() if best is None else best.choice
