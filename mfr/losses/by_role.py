"""Which function computes each loss of a method: MFR's own, or one that the user names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Final

from torch import Tensor

from mfr.errors import ConfigError
from mfr.outside import require_call
from mfr.registry import Registry

Loss = Callable[..., Tensor]

LOSSES: Final[Registry[Loss]] = Registry(
    "loss",
    {
        "hard-pair-attention": "mfr.losses.hard_pair_attention:hard_pair_attention",
        "soft-classification": "mfr.losses.soft_classification:soft_classification",
        "domain-alignment": "mfr.losses.domain_alignment:domain_alignment",
        "cosface": "mfr.losses.margin:cosface",
        "triplet": "mfr.losses.triplet:triplet",
    },
    ConfigError,
)


def losses_by_role(method: str, named: Mapping[str, str], **defaults: Loss) -> dict[str, Loss]:
    """The function that computes the loss of each role.

    Args:
        method: the method's name, for messages.
        named: role -> the name of a loss, or the place of one outside MFR, ``package.module:name``.
        **defaults: role -> the method's own loss. One that stands in for it is called with the same
            arguments, and so has to take them.

    Returns:
        Role -> function, for the roles of ``defaults``.

    Raises:
        ConfigError: the method has no such role, there is no such loss, or it does not take the
            arguments that losses of its role are given.
    """
    for role in named:
        if role not in defaults:
            raise ConfigError(
                f"The method {method} has no loss '{role}': under [losses] name "
                f"{' or '.join(defaults)}."
            )
    return {
        role: _like(default, role, named[role]) if role in named else default
        for role, default in defaults.items()
    }


def _like(default: Loss, role: str, name: str) -> Loss:
    """The loss ``name``, which takes what ``default`` takes."""
    loss = LOSSES.find_anywhere(name)
    taken = inspect.signature(default).parameters.values()
    require_call(
        f"The loss '{name}', as {role},",
        loss,
        [one.name for one in taken if one.kind is not Parameter.KEYWORD_ONLY],
        [one.name for one in taken if one.kind is Parameter.KEYWORD_ONLY],
        error=ConfigError,
    )
    return loss
