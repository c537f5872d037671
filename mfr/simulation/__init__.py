"""Conditions drawn on crops: masks, glasses, near infrared, sketches and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mfr.errors import ConfigError
from mfr.registry import Registry

if TYPE_CHECKING:
    from mfr.simulation.conditions import OnCrops, OnFaces

CONDITIONS: Final[Registry[OnFaces | OnCrops]] = Registry(
    "condition",
    {
        "mask": "mfr.simulation.conditions:MASK",
        "glasses": "mfr.simulation.conditions:GLASSES",
        "sunglasses": "mfr.simulation.conditions:SUNGLASSES",
        "low-resolution": "mfr.simulation.conditions:LOW_RESOLUTION",
        "nir": "mfr.simulation.conditions:NIR",
        "sketch": "mfr.simulation.conditions:SKETCH",
        "jpeg": "mfr.simulation.conditions:JPEG",
        "webcam": "mfr.simulation.conditions:WEBCAM",
    },
    ConfigError,
)
"""The conditions that can be simulated on crops, by the names that the command line takes."""
