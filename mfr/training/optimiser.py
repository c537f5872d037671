"""The outer step's optimiser, made in one place: SGD as in the paper, or any other of torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn

from mfr.config import RunConfig
from mfr.errors import ConfigError
from mfr.registry import Registry

SGD: Final = "sgd"
OPTIMISERS: Final[Registry[Callable[..., torch.optim.Optimizer]]] = Registry(
    "optimiser", {SGD: "torch.optim:SGD"}, ConfigError
)
_SGDS_OWN: Final = ("momentum", "weight_decay")


def make_optimiser(config: RunConfig, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser that ``config`` names, over the trainable parameters of ``network``.

    It is called with the parameters, ``lr`` and ``config.optimiser_options``; for 'sgd' these
    include the run's momentum and weight decay.

    Raises:
        ConfigError: there is none, it does not take these options, or it needs more than gradients.
    """
    what = f"The optimiser '{config.optimiser}'"
    make = OPTIMISERS.find_anywhere(config.optimiser)
    options: dict[str, Any] = dict(config.optimiser_options)
    if "lr" in options:
        raise ConfigError("The outer learning rate is beta: leave lr out of [optimiser_options].")
    own = {name: getattr(config, name) for name in _SGDS_OWN}
    if config.optimiser == SGD:
        options = own | options
    elif changed := [n for n in _SGDS_OWN if own[n] != RunConfig.model_fields[n].default]:
        raise ConfigError(
            f"{what} does not read {' and '.join(changed)}, which are sgd's: name what it takes "
            "under [optimiser_options]."
        )
    parameters = [p for p in network.parameters() if p.requires_grad]
    try:
        optimiser = make(parameters, lr=config.beta, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{what} cannot be made with {options or 'its defaults'} ({error}): correct "
            "[optimiser_options]."
        ) from error
    if not isinstance(optimiser, torch.optim.Optimizer):
        raise ConfigError(f"{what} is not a torch.optim.Optimizer: name one.")
    try:
        inspect.signature(optimiser.step).bind()
    except TypeError as error:
        raise ConfigError(
            f"{what} computes the loss itself (its step needs a closure), which a meta-gradient "
            "does not allow: name one that steps on gradients."
        ) from error
    return optimiser


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all of the optimiser's parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate
