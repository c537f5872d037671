"""Some crops of a track, spread evenly over it, however long it lasts."""

from __future__ import annotations

from typing import Final

import numpy as np

MOST: Final = 16


class KeptCrops:
    """At most `MOST` of the crops that are added, at equal steps from the first on."""

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []
        self._step, self._added = 1, 0

    def add(self, crop: np.ndarray) -> None:
        """Keep the crop, if it is its turn."""
        if self._added % self._step == 0:
            if len(self._kept) == MOST:
                self._kept = self._kept[::2]
                self._step *= 2
            if self._added % self._step == 0:
                self._kept.append(crop)
        self._added += 1

    def all(self) -> list[np.ndarray]:
        """The crops, in their order."""
        return list(self._kept)
