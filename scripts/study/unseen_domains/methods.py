"""The methods of the study and the settings that each may try, equally many for all."""

from __future__ import annotations

from typing import Any, Final

AUGMENT: Final = {"occlusion": 0.5, "grey": 0.3, "colour": 0.5, "blur": 0.2, "jpeg": 0.2}
"""Stronger than the standard, for all methods alike."""

COMMON: Final[dict[str, Any]] = {
    "identities": 16,
    "normalisation": "frozen",
    "schedule": "cosine",
    "warmup": 5,
    "clip": 10.0,
    "weight_decay": 0.0,
    "score_unit": "start",
    "scale": 1.0,
    "margin_scale": 32.0,
    "cosface_margin": 0.5,
    "average_from": 0.5,
    "augment": AUGMENT,
}
"""What all methods share, so that they differ in nothing but the method."""

FIRST_ORDER: Final = {"method": "mfr", "first_order": True}


def _rates(*rates: float, inner: bool = False) -> list[dict[str, float]]:
    return [{"beta": rate} | ({"alpha": rate} if inner else {}) for rate in rates]


METHODS: Final[dict[str, tuple[dict[str, Any], list[dict[str, float]]]]] = {
    "aggregation": ({"method": "agg"}, _rates(0.003, 0.01, 0.03)),
    "triplet": ({"method": "triplet"}, _rates(0.003, 0.01, 0.03)),
    "CORAL": (
        {"method": "scripts.study.unseen_domains.coral:Coral"},
        _rates(0.003, 0.01, 0.03),
    ),
    "MLDG": ({"method": "mldg", "first_order": True}, _rates(0.01, 0.02, 0.05, inner=True)),
    "MFR losses, no meta step": ({**FIRST_ORDER, "alpha": 0.0}, _rates(0.01, 0.02, 0.05)),
    "MFR": (FIRST_ORDER, _rates(0.01, 0.02, 0.05, inner=True)),
}
