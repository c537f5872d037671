"""A person to be drawn many times: an identity with its maps, which are computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from data_tools.synth.appearance import (
    Appearance,
    draw_appearance,
    hair_reflectance,
    skin_reflectance,
    warmth,
)
from data_tools.synth.domains import Band
from data_tools.synth.head import Field
from data_tools.synth.identity import Identity


@dataclass(frozen=True)
class Person:
    """An identity with its maps, which are computed once for many images."""

    identity: Identity

    @cached_property
    def appearance(self) -> Appearance:
        """The maps of the person's surface."""
        return draw_appearance(self.identity)

    @cached_property
    def _skin(self) -> dict[Band, Field]:
        return {}

    def skin(self, band: Band) -> Field:
        """The reflectance of bare skin, (TEXTURE, TEXTURE, 3); its radiance in the thermal band."""
        if band not in self._skin:
            maps = self.appearance
            if band == "thermal":
                value = warmth(maps)
            else:
                channels = slice(0, 3) if band == "visible" else slice(3, 4)
                value = skin_reflectance(maps.melanin, maps.blood, channels)
            self._skin[band] = np.ascontiguousarray(np.broadcast_to(value, (*value.shape[:2], 3)))
        return self._skin[band]

    def hair(self, band: Band, age: float) -> NDArray[np.float32]:
        """The reflectance of the hair at an age (years), (3,); its radiance in the thermal band."""
        if band == "thermal":
            return np.full(3, 0.3, np.float32)
        grey = 1 / (1 + np.exp(-(age - self.identity.greying) / 5))
        channels = slice(0, 3) if band == "visible" else slice(3, 4)
        return np.broadcast_to(hair_reflectance(self.identity.hair, grey, channels), (3,))
