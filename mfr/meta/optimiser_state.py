"""What an optimiser keeps for each parameter, under the parameters' names, to be stored in a file.

Torch numbers parameters by their place in the optimiser; names survive where the order does not.
Each value is called 'KEY/PARAMETER', such as 'exp_avg/conv1.weight'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from mfr.errors import TrainingError

Plain = float | int | bool | str | None


def named_state(
    optimiser: torch.optim.Optimizer, parameters: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Plain]]:
    """The tensors, and the values that are not tensors, that ``optimiser`` keeps.

    Args:
        optimiser: over some or all of ``parameters``.
        parameters: by name.

    Raises:
        TrainingError: it keeps something else than tensors, numbers and text.
    """
    names = _names(optimiser, parameters)
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Plain] = {}
    for number, values in optimiser.state_dict()["state"].items():
        for key, value in values.items():
            name = f"{key}/{names[number]}"
            if isinstance(value, Tensor):
                tensors[name] = value
            elif isinstance(value, Plain):
                plain[name] = value
            else:
                raise TrainingError(
                    f"The optimiser {type(optimiser).__name__} keeps {name} as a "
                    f"{type(value).__name__}, which no checkpoint can hold: train with another."
                )
    return tensors, plain


def restore_named_state(
    optimiser: torch.optim.Optimizer,
    parameters: Mapping[str, Tensor],
    state: Mapping[str, Tensor | Plain],
    groups: Iterable[Mapping[str, Plain]] = (),
) -> None:
    """Give ``optimiser`` back what `named_state` found, on the devices where it belongs.

    Args:
        optimiser: over the same parameters.
        parameters: by name.
        state: both parts of what `named_state` returned.
        groups: settings of each of the optimiser's groups of parameters to be set too.

    Raises:
        KeyError: a parameter that ``state`` names is not the optimiser's.
    """
    numbers = {name: number for number, name in enumerate(_names(optimiser, parameters))}
    by_number: dict[int, dict[str, Any]] = {}
    for place, value in state.items():
        key, _, name = place.partition("/")
        by_number.setdefault(numbers[name], {})[key] = value
    settings = optimiser.state_dict()["param_groups"]
    for group, changed in zip(settings, groups, strict=False):
        group |= changed
    # Torch's own way, which knows what of an optimiser's state lies on the parameter's device.
    optimiser.load_state_dict({"state": by_number, "param_groups": settings})


def _names(optimiser: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> list[str]:
    """The names of the optimiser's parameters, in the order in which torch numbers them."""
    names = {id(p): name for name, p in parameters.items()}
    return [names[id(p)] for group in optimiser.param_groups for p in group["params"]]
