"""Random orders that are the same on every machine and in every version of numpy."""

from __future__ import annotations

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray


class RandomBits:
    """A stream named by a seed and coordinates, such as a step and an episode.

    NumPy guarantees that the raw bits of its bit generators stay the same between versions, but not
    what ``Generator.permutation`` or ``choice`` make of them; so only the bits are used. A stream
    is found by its name alone, without drawing what came before it: that makes sampling resumable,
    and lets processes share it.

    Args:
        seed: of the run.
        coordinates: up to three non-negative integers; different coordinates, different streams.
    """

    def __init__(self, seed: int, *coordinates: int) -> None:
        # The low word of the counter is left at 0, because the stream counts in it.
        words = [0, *coordinates] + [0] * (3 - len(coordinates))
        self._bits = Philox(counter=np.array(words, np.uint64), key=np.array([seed, 0], np.uint64))

    def order(self, count: int) -> NDArray[np.int64]:
        """A uniformly random order of ``range(count)``, (count,)."""
        return np.argsort(self._bits.random_raw(count), kind="stable")

    def below(self, limit: int) -> int:
        """A uniformly random integer in [0, limit). The bias is below limit / 2^64."""
        return int(self._bits.random_raw()) * limit >> 64

    def uniform(self, count: int) -> NDArray[np.float64]:
        """(count,) numbers, uniform on the multiples of 2^-53 in [0, 1)."""
        return np.asarray((self.words(count) >> np.uint64(11)) * 2.0**-53)

    def words(self, count: int) -> NDArray[np.uint64]:
        """(count,) raw words of 64 bits."""
        return np.atleast_1d(self._bits.random_raw(count))

    def seed(self) -> int:
        """A seed in [0, 2^32) for another library's generator."""
        return self.below(2**32)
