"""The random draws of one image.

They are named by a seed and the image, so that they do not depend on the order of the images or on
the process that draws them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray

T = TypeVar("T")


class Draws:
    """The stream of random draws of one image.

    As in `mfr.random_bits`, only Philox's raw bits are used, because they are the same on every
    machine and in every version of numpy.

    Args:
        seed: the seed of the run.
        name: the name of the image and of what is done to it; another name gives another stream.
    """

    def __init__(self, seed: int, name: str) -> None:
        words = np.frombuffer(hashlib.sha256(f"{seed} {name}".encode()).digest(), "<u8")
        self._bits = Philox(key=words[:2])

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A uniformly random number in [low, high)."""
        return low + (high - low) * 2.0**-53 * (int(self._bits.random_raw()) >> 11)

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.uniform() < probability

    def choice(self, weights: Mapping[T, float]) -> T:
        """One of the keys, each with a probability proportional to its weight."""
        rest = self.uniform(0, sum(weights.values()))
        for value, weight in weights.items():
            rest -= weight
            if rest < 0:
                return value
        return value

    def normal(self, *shape: int) -> NDArray[np.float32]:
        """Nearly normal noise of mean 0 and variance 1: sums of four uniform 16-bit numbers.

        It ends at 3.46 standard deviations, a limit that does not show in pixels of 8 bits.
        """
        words = self._bits.random_raw(int(np.prod(shape))).view(np.uint16)
        sums = words.reshape(4, -1).sum(axis=0, dtype=np.uint32).astype(np.float32)
        return ((sums - 2 * 65535) * np.float32(np.sqrt(3) / 65536)).reshape(shape)
