"""Batch normalisation folded into the layers before it.

Which normalisation follows which layer is seen in a pass of a copy of the network. It is not
traced by torch.fx, which while it traces changes what a call of any module does, in every thread:
a detector that computes elsewhere would fail.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_KINDS: Final = (
    (nn.Conv1d, nn.BatchNorm1d),
    (nn.Conv2d, nn.BatchNorm2d),
    (nn.Conv3d, nn.BatchNorm3d),
    (nn.Linear, nn.BatchNorm1d),
)


def folded(network: nn.Module, size: tuple[int, int]) -> nn.Module:
    """A copy of ``network`` in which convolutions and linear layers normalise their output.

    A network that cannot be run with one black image is copied as it is.

    Args:
        network: in evaluation mode; takes (N, 3, height, width) float32.
        size: height and width.
    """
    copied = copy.deepcopy(network)
    try:
        pairs = _pairs(copied, size)
    except Exception:  # a network from outside may raise anything
        return copied
    for first, second in pairs:
        layer, normalisation = copied.get_submodule(first), copied.get_submodule(second)
        assert isinstance(normalisation, _BatchNorm)
        if isinstance(layer, nn.Linear):
            copied.set_submodule(first, fuse_linear_bn_eval(layer, normalisation))
        else:
            assert isinstance(layer, _ConvNd)
            copied.set_submodule(first, fuse_conv_bn_eval(layer, normalisation))
        copied.set_submodule(second, nn.Identity())
    return copied


class _Call(NamedTuple):
    """A call of the module ``name``."""

    name: str
    given: Tensor
    gave: Tensor


class _Uses(TorchDispatchMode):
    """Counts how often each tensor is given to an operation. It sees this thread only."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[int] = Counter()
        self._kept: list[Tensor] = []  # whose place another would take

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # PyTorch would import its compiler to keep it away from here: a second of a cold start.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        self.of.update({id(tensor) for tensor in given})
        self._kept += given
        return func(*args, **(kwargs or {}))


def _pairs(network: nn.Module, size: tuple[int, int]) -> list[tuple[str, str]]:
    """The names of a layer and of the normalisation that alone uses its output, of each."""
    kinds = {kind for both in _KINDS for kind in both}
    calls: list[_Call] = []
    hooks = [
        module.register_forward_hook(
            lambda _, given, gave, name=name: calls.append(_Call(name, given[0], gave))
        )
        for name, module in network.named_modules()
        if type(module) in kinds
    ]
    place = next(network.parameters()).device
    try:
        with torch.no_grad(), _Uses() as uses:
            network(torch.zeros(1, 3, *size, device=place))
    finally:
        for hook in hooks:
            hook.remove()
    once = {name for name, times in Counter(call.name for call in calls).items() if times == 1}
    made_by = {id(call.gave): call.name for call in calls if call.name in once}
    pairs = [
        (made_by[id(call.given)], call.name)
        for call in calls
        if call.name in once and id(call.given) in made_by and uses.of[id(call.given)] == 1
    ]
    return [names for names in pairs if _kinds_of(network, names) in _KINDS]


def _kinds_of(network: nn.Module, names: tuple[str, str]) -> tuple[type, type]:
    layer, normalisation = (type(network.get_submodule(name)) for name in names)
    return layer, normalisation
