"""The methods of the study and the settings that each may try, equally many for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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

RATES: Final = (0.003, 0.01, 0.03)
"""What every method tries."""


def shared_values(
    data: Path, sources: Sequence[str], init: str, steps: int, device: str = "cpu"
) -> dict[str, Any]:
    """`COMMON`, and what runs are told beside it."""
    told = {"data": str(data), "sources": list(sources), "init": init}
    return {**COMMON, **told, "steps": steps, "device": device}


FIRST_ORDER: Final = {"method": "mfr", "first_order": True}


def _rates(*, inner: bool = False) -> list[dict[str, float]]:
    return [{"beta": rate} | ({"alpha": rate} if inner else {}) for rate in RATES]


RECIPE: Final = "recipe"
RECIPE_MASKS: Final = "recipe, masks drawn"
_NO_HARD_PAIRS: Final = {"hard_pair_weight": 0.0}
_RECIPE: Final = {**FIRST_ORDER, **_NO_HARD_PAIRS, "margin_weight": 1.0, "alpha": 0.001}
# A fourth source domain; with 12 identities a side a step has as many images as with 16 and three.
_MASKS: Final = {"simulate": ["mask"], "identities": 12}
_WITHOUT: Final = "scripts.study.unseen_domains.without"

Settings = tuple[dict[str, Any], list[dict[str, Any]]]

METHODS: Final[dict[str, Settings]] = {
    RECIPE: (_RECIPE, _rates()),
    "aggregation": ({"method": "agg"}, _rates()),
    "aggregation, masks drawn": ({"method": "agg", **_MASKS}, _rates()),
    RECIPE_MASKS: ({**_RECIPE, **_MASKS}, _rates()),
    "MFR": (FIRST_ORDER, _rates(inner=True)),
    "MFR losses, no meta step": ({**FIRST_ORDER, "alpha": 0.0}, _rates()),
    "CORAL": ({"method": "scripts.study.unseen_domains.coral:Coral"}, _rates()),
    "triplet": ({"method": "triplet"}, _rates()),
    "MFR, exact": ({"method": "mfr"}, _rates(inner=True)),
    "MFR to the letter": (
        {
            **{"method": "mfr", "normalisation": "batch", "schedule": "halving", "halve_every": 10},
            **{"warmup": 0, "clip": None, "weight_decay": 5e-4, "score_unit": "cosine"},
            **{"scale": 64.0, "alpha": 4e-4, "beta": 4e-4, "augment": {}},
        },
        [{}],
    ),
    "MLDG": ({"method": "mldg", "first_order": True}, _rates(inner=True)),
}
"""What each method is, and its tries, which one seed takes: the same three rates for all. The
paper's own rates belong to its letter."""

SEEDED: Final = ("aggregation", RECIPE, "aggregation, masks drawn", RECIPE_MASKS)
"""The methods that more seeds run first."""

BASELINES: Final = ("aggregation", "CORAL", "triplet", "MLDG")
"""What the recipe has to beat, with nothing masked in training."""

_ACROSS: Final = {"cross_domain_pairs": 0.5}
_FULL: Final = {**FIRST_ORDER, "margin_weight": 1.0, **_ACROSS}
_DISTILLED: Final = {"distillation": 2.0}
# Sharper classification, which finds the hard strangers, beside alignment as soft as before.
_SHARP: Final = {"scale": 8.0, "alignment_scale": 1.0}
_SLOW_INNER: Final = {"alpha": 0.001, "beta": 0.01}

EARLIER: Final[dict[str, Settings]] = {
    "recipe, earlier": (
        _FULL,
        [
            *({**_DISTILLED, "alpha": rate, "beta": rate} for rate in (0.005, 0.01)),
            {"margin_weight": 0.15, "alpha": 0.01, "beta": 0.01},
            _SLOW_INNER,
            {"margin_weight": 0.15, "alpha": 0.01, "beta": 0.02},
            {**_SHARP, "margin_weight": 0.15, "alpha": 0.005, "beta": 0.01},
            {**_SHARP, "margin_weight": 0.0, "alpha": 0.005, "beta": 0.02},
            {**_SHARP, **_SLOW_INNER},
            {**_SLOW_INNER, "cross_domain_pairs": 0.0},
        ],
    ),
    "recipe, masks drawn, earlier": (
        {**_FULL, **_MASKS},
        [
            *({**_DISTILLED, "alpha": rate, "beta": rate} for rate in (0.005, 0.01)),
            _SLOW_INNER,
        ],
    ),
    "aggregation, earlier": ({"method": "agg"}, [{"beta": 0.005}, {"beta": 0.02}]),
    "aggregation, masks drawn, earlier": ({"method": "agg", **_MASKS}, [{"beta": 0.005}]),
}
"""Tries of one seed by which the recipe got its parts. They saw both groups of unseen domains, so
the recipe's row is, if anything, too good."""

WHOLE: Final = 1
"""The try of the recipe with drawn masks whose parts are taken away, or to which one is added."""
_WHOLE: Final = {**_RECIPE, **_MASKS, "beta": RATES[WHOLE]}
ABLATIONS: Final[dict[str, dict[str, Any]]] = {
    "without the meta step": {**_WHOLE, "alpha": 0.0},
    "without the margin classifier": {**_WHOLE, "margin_weight": 0.0},
    "with hard pairs": {**_WHOLE, "hard_pair_weight": 1.0},
    "with pairs across domains": {**_WHOLE, **_ACROSS},
    "with distillation": {**_WHOLE, **_DISTILLED},
    "with batch statistics": {**_WHOLE, "normalisation": "batch"},
    "with the standard augmentation": {**_WHOLE, "augment": {}},
    "without warm-up and clipping": {**_WHOLE, "warmup": 0, "clip": None},
    "with the paper's scale": {**_WHOLE, "score_unit": "cosine", "scale": 64.0},
}
"""The recipe with drawn masks, without one of its parts, or with one that it does not have."""

_MFR: Final = {**FIRST_ORDER, "alpha": 0.01, "beta": 0.01}
PAPER: Final[dict[str, tuple[dict[str, Any], float]]] = {
    "MFR without hard pairs": ({**_MFR, **_NO_HARD_PAIRS}, 69.2),
    "MFR without soft classification": (
        {**_MFR, "losses": {"classification": f"{_WITHOUT}:classification"}},
        69.0,
    ),
    "MFR without domain alignment": (
        {**_MFR, "losses": {"alignment": f"{_WITHOUT}:alignment"}},
        70.8,
    ),
}
"""The paper's ablation of losses, and its VR at an FMR of 0.01% (table 6, GFR-R I)."""

PAPER_RULES: Final = {"MFR, exact": 71.4, "MFR": 70.9, "MFR losses, no meta step": 68.35}
"""Its rows of rules: second order, first order, alpha = 0."""
