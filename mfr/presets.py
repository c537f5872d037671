"""Whole sets of a run's values, by name: the paper's, and the recipe that tunes a recogniser."""

from __future__ import annotations

from typing import Any, Final

from mfr.errors import ConfigError

PAPER: Final = "paper"
RECIPE: Final = "recipe"

PRESETS: Final[dict[str, dict[str, Any]]] = {
    # The defaults of `mfr.config.RunConfig` are Guo et al.'s (CVPR 2020, section 4.1).
    PAPER: {},
    RECIPE: {
        "normalisation": "frozen",
        "first_order": True,
        "schedule": "cosine",
        "warmup": 5,
        "clip": 10.0,
        "weight_decay": 0.0,
        "score_unit": "start",
        "scale": 1.0,
        "margin_scale": 32.0,
        "cosface_margin": 0.5,
        "hard_pair_weight": 0.0,
        "margin_weight": 1.0,
        "alpha": 0.001,
        "beta": 0.005,
        "steps": 100,
        "identities": 32,
        "validate_every": 50,
        "checkpoint_every": 25,
        "augment": {"occlusion": 0.5, "grey": 0.3, "colour": 0.5, "blur": 0.2, "jpeg": 0.2},
        "average_from": 0.5,
        "shares": [0.25, 0.5, 0.75, 1.0],
    },
}
"""Values that stand in for the defaults; what a user gives goes before them."""


_UNREAD: Final = {"augmentation": "augment", "optimiser": "weight_decay"}
"""What is given -> what whoever is given in place of our own does not read."""


def with_preset(name: str | None, values: dict[str, Any]) -> dict[str, Any]:
    """``values`` over those of the preset ``name``.

    Without a name it is the recipe where weights to start from are given, for it tunes a recogniser
    that works already, and otherwise the paper's.

    Raises:
        ConfigError: there is no such preset, or the recipe is asked for without weights.
    """
    name = name or (RECIPE if values.get("init") else PAPER)
    if name not in PRESETS:
        raise ConfigError(f"There is no preset '{name}': use {' or '.join(sorted(PRESETS))}.")
    if name == RECIPE and not values.get("init"):
        raise ConfigError(
            "The recipe tunes a network that recognises people already: name its weights with "
            "--init (dlib-resnet is installed), or train from random ones with --preset paper."
        )
    unread = {key for given, key in _UNREAD.items() if given in values}
    if "hard_pair" in (values.get("losses") or {}):  # who brings a loss wants it to count
        unread.add("hard_pair_weight")
    return {key: v for key, v in PRESETS[name].items() if key not in unread} | values
