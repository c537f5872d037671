"""Named streams of random numbers: for an identity, and for one of its images in one domain."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mfr.random_bits import RandomBits

T = TypeVar("T")


class Draws:
    """A stream of random draws, the same on every machine and in every version of numpy."""

    def __init__(self, seed: int, *coordinates: int) -> None:
        self._bits = RandomBits(seed, *coordinates)

    @classmethod
    def of_identity(cls, seed: int, identity: int) -> Draws:
        """The draws that make a person, as a function of (seed, identity)."""
        return cls(seed, identity, 0, 0)

    @classmethod
    def of_image(cls, seed: int, identity: int, domain: str, image: int) -> Draws:
        """The draws that vary between images, as a function of (seed, identity, domain, image)."""
        return cls(seed, identity, 1 + zlib.crc32(domain.encode()), image)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A uniformly random number in [low, high)."""
        return low + (high - low) * float(self._bits.uniform(1)[0])

    def between(self, range_: tuple[float, float]) -> float:
        """A uniformly random number in a range."""
        return self.uniform(*range_)

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.uniform() < probability

    def normal(self, sd: float = 1.0, limit: float = 2.5) -> float:
        """A normal number with standard deviation ``sd``, clipped at ``limit`` times ``sd``."""
        return float(self.normals(1, limit)[0]) * sd

    def normals(self, count: int, limit: float = 2.5) -> NDArray[np.float32]:
        """Standard normal numbers, (count,), clipped at ``limit``."""
        uniform = np.maximum(self._bits.uniform(count), 2.0**-54)
        return np.clip(ndtri(uniform), -limit, limit).astype(np.float32)

    def choice(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of ``options``, in proportion to ``weights``; by default all are equally likely."""
        shares = np.cumsum(np.ones(len(options)) if weights is None else weights)
        place = np.searchsorted(shares, self.uniform(0, float(shares[-1])), side="right")
        return options[min(int(place), len(options) - 1)]

    def noise(self, rows: int, columns: int, channels: int = 1) -> NDArray[np.float32]:
        """Nearly normal white noise, (rows, columns) or (rows, columns, channels), made quickly.

        Each number is a standardised sum of four uniform 16-bit numbers.
        """
        count = rows * columns * channels
        bits = np.atleast_1d(self._bits.words(count)).view(np.uint16).reshape(count, 4)
        total = bits[:, 0].astype(np.float32) + bits[:, 1] + bits[:, 2] + bits[:, 3]
        white = (total - 2 * 65535) / np.float32(65536 / np.sqrt(3))
        return white.reshape((rows, columns, channels) if channels > 1 else (rows, columns))

    def smooth(self, size: tuple[int, int], cells: tuple[int, int]) -> NDArray[np.float32]:
        """Smooth noise of about unit variance: ``cells`` (rows, columns) of noise, enlarged."""
        return np.asarray(cv2.resize(self.noise(*cells), size[::-1], interpolation=cv2.INTER_CUBIC))
