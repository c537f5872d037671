"""How fast each runtime is on this machine, and whether it computes what it should."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mfr.errors import MfrError
from mfr.runtimes import RUNTIMES, build_runtime
from mfr.runtimes.choice import Choice
from mfr.runtimes.precision import EXACT, PRECISIONS
from mfr.runtimes.runtime import Runtime

K = TypeVar("K", bound=Hashable)
Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]
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


def measure(network: nn.Module, size: tuple[int, int]) -> list[Measured]:
    """Try every runtime in every precision, PyTorch in float32 first; some seconds each.

    Args:
        network: in evaluation mode, on the CPU.
        size: height and width of its input.
    """
    noise = np.random.default_rng(0).standard_normal((max(BATCHES), 3, *size))
    images = noise.astype(np.float32)
    usable: dict[Choice, Runtime] = {}
    cosines: dict[Choice, float] = {}
    why_not: dict[Choice, str] = {}
    exact: NDArray[np.float32] | None = None
    choices = [
        Choice(runtime, precision) for runtime in RUNTIMES.names() for precision in PRECISIONS
    ]
    for choice in choices:
        try:
            runtime = build_runtime(choice.runtime, network, size=size, precision=choice.precision)
            computed = runtime.features(images)
        except MfrError as error:
            why_not[choice] = str(error)
            continue
        exact = computed if exact is None else exact
        cosines[choice] = lowest_cosine(computed, exact)
        usable[choice] = runtime
    runs = {choice: runtime.features for choice, runtime in usable.items()}
    rates = rates_in_turn(runs, images, _ROUNDS)
    return [
        Measured(choice, why_not=why_not[choice])
        if choice in why_not
        else Measured(choice, rates[choice], cosines[choice])
        for choice in choices
    ]


def lowest_cosine(some: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """The lowest between the rows of one array, (N, d), and those of the other."""
    products = (some * others).sum(axis=1)
    return float((products / np.linalg.norm(some, axis=1) / np.linalg.norm(others, axis=1)).min())


def rates_in_turn(
    runs: Mapping[K, Forward], images: NDArray[np.float32], rounds: int
) -> dict[K, tuple[float, ...]]:
    """Inputs a second of each of ``runs`` at each of `BATCHES`, medians.

    They run in turn, so that what else the machine does slows all of them alike.

    Args:
        runs: what takes (n, 3, height, width) network input, by name.
        images: as many as the largest batch has, or more.
        rounds: how often each is timed.
    """
    seconds: dict[tuple[K, int], list[float]] = {(name, b): [] for name in runs for b in BATCHES}
    for _ in range(rounds):
        for (name, batch), times in seconds.items():
            runs[name](images[:batch])  # brings its weights back into the caches
            begin = time.perf_counter()
            runs[name](images[:batch])
            times.append(time.perf_counter() - begin)
    return {
        name: tuple(batch / statistics.median(seconds[name, batch]) for batch in BATCHES)
        for name in runs
    }


def fastest(measured: Sequence[Measured]) -> Choice:
    """The fastest that computes in float32 and agrees with PyTorch, by the mean of both batches."""
    fit = [
        one
        for one in measured
        if one.rates and one.choice.precision == EXACT and one.cosine >= AGREEMENT
    ]
    best = max(fit, key=lambda one: statistics.geometric_mean(one.rates), default=None)
    return Choice() if best is None else best.choice
