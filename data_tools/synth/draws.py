"""Random numbers by name: of an identity, and of one image of it in one domain."""

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
    """A stream of draws, the same on every machine and in every version of numpy."""

    def __init__(self, seed: int, *coordinates: int) -> None:
        self._bits = RandomBits(seed, *coordinates)

    @classmethod
    def of_identity(cls, seed: int, identity: int) -> Draws:
        """What makes a person: a function of (seed, identity)."""
        return cls(seed, identity, 0, 0)

    @classmethod
    def of_image(cls, seed: int, identity: int, domain: str, image: int) -> Draws:
        """What changes between images: a function of (seed, identity, domain, image)."""
        return cls(seed, identity, 1 + zlib.crc32(domain.encode()), image)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * float(self._bits.uniform(1)[0])

    def between(self, range_: tuple[float, float]) -> float:
        """Uniform in a range."""
        return self.uniform(*range_)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability

    def normal(self, sd: float = 1.0, limit: float = 2.5) -> float:
        """Normal, cut at ``limit`` standard deviations."""
        return float(self.normals(1, limit)[0]) * sd

    def normals(self, count: int, limit: float = 2.5) -> NDArray[np.float32]:
        """(count,) standard normal, clipped at ``limit``."""
        uniform = np.maximum(self._bits.uniform(count), 2.0**-54)
        return np.clip(ndtri(uniform), -limit, limit).astype(np.float32)

    def choice(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of ``options``."""
        shares = np.cumsum(np.ones(len(options)) if weights is None else weights)
        place = np.searchsorted(shares, self.uniform(0, float(shares[-1])), side="right")
        return options[min(int(place), len(options) - 1)]

    def noise(self, rows: int, columns: int, channels: int = 1) -> NDArray[np.float32]:
        """White normal noise, (rows, columns) or (rows, columns, channels); quick, not exact.

        A sum of four uniform 16-bit numbers, standardised.
        """
        count = rows * columns * channels
        bits = np.atleast_1d(self._bits.words(count)).view(np.uint16).reshape(count, 4)
        total = bits[:, 0].astype(np.float32) + bits[:, 1] + bits[:, 2] + bits[:, 3]
        white = (total - 2 * 65535) / np.float32(65536 / np.sqrt(3))
        return white.reshape((rows, columns, channels) if channels > 1 else (rows, columns))

    def smooth(self, size: tuple[int, int], cells: tuple[int, int]) -> NDArray[np.float32]:
        """Smooth noise of unit size: ``cells`` (rows, columns) of white noise enlarged, bicubic."""
        return np.asarray(cv2.resize(self.noise(*cells), size[::-1], interpolation=cv2.INTER_CUBIC))
