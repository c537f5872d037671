"""Other tensors in the places of a network's parameters and buffers while its code runs.

`torch.func.functional_call` puts them there for one forward pass. Two things are different here.
A tensor that a network holds in several places (a module or a parameter under two names) is
replaced, and put back, once in each place. And module code may also run later, while a derivative
is taken: activation checkpointing repeats a part of the forward pass, and hooks may read weights.
It then finds what its pass was given, or is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mfr.errors import TrainingError
from mfr.meta.closed_layers import CLOSED, Layers, closed_layers

Place = tuple[dict[str, Any], str]
"""A dict of a module's parameters or buffers, and a key in it."""


class _Refused(Tensor):
    """Stands where module code would find a value that is not the one it was run with."""

    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> Any:
        raise TrainingError(
            "The network reads its parameters again while derivatives are taken (checkpointing, "
            "or a hook), which it can neither in a stack of tasks nor where one objective runs it "
            "at several parameters: take tasks one by one, and one pass in an objective."
        )


_REFUSED: Tensor = _Refused()


@dataclass
class _Pass:
    """One pass of a network.

    Attributes:
        network: the network.
        values: what stands in its places, one by one.
        buffers: copies of the buffers as the pass found them, with the places of each.
        layers: what replaces PyTorch's layers in the pass.
        replaced: the ids of the network's own tensors that values stand for.
    """

    network: nn.Module
    values: list[tuple[Place, Tensor]]
    buffers: list[tuple[list[Place], Tensor]]
    layers: closed_layers
    replaced: Collection[int]


class Passes:
    """The passes of one evaluation of an objective, and what each was given."""

    def __init__(self, before: Passes | None = None) -> None:
        """With ``before``, the passes repeat those, and find the same buffers as they did."""
        self._all: list[_Pass] = []
        self._before = iter(()) if before is None else iter(before._all)

    @property
    def replaced(self) -> set[int]:
        """The ids of the networks' own tensors that others stood for."""
        return {number for one in self._all for number in one.replaced}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Around an evaluation: its passes are noted here."""
        token = _noting.set(self)
        try:
            yield
        finally:
            _noting.reset(token)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Around taking derivatives: module code finds what its pass was given."""
        given: dict[tuple[int, str], tuple[Place, Tensor]] = {}
        for one in self._all:
            for place, value in one.values:
                spot = id(place[0]), place[1]
                if spot in given and given[spot][1] is not value:
                    value = _REFUSED
                given[spot] = place, value
        # After all values, because they take the place of buffers that were given.
        for one in self._all:
            # Copies once more, so that running statistics move in the pass alone.
            for places, buffer in one.buffers:
                copy = buffer.clone()
                given |= {(id(held), key): ((held, key), copy) for held, key in places}
        with ExitStack() as stack:
            for one in self._all:
                if one.layers.hooked:
                    stack.enter_context(_run_with(one.network, one.layers.layers))
            stack.enter_context(_put(list(given.values())))
            yield

    def _note(self, one: _Pass) -> None:
        self._all.append(one)

    def _before_now(self) -> _Pass | None:
        """The pass which is now repeated, if this is a repetition."""
        return next(self._before, None)


_noting: ContextVar[Passes | None] = ContextVar("noting", default=None)


@contextmanager
def substituted(
    network: nn.Module,
    values: Mapping[str, Tensor],
    *,
    layers: Layers = CLOSED,
    readable_later: bool = True,
) -> Iterator[None]:
    """While entered, ``network`` holds ``values`` in place of its tensors of these names.

    Args:
        network: any module.
        values: by the names of its parameters or buffers. A tensor under two names is replaced
            under both, whichever is given.
        layers: what replaces PyTorch's layers meanwhile.
        readable_later: module code may read the values again while derivatives are taken; values
            inside `torch.func.vmap` are gone by then.

    Raises:
        TrainingError: the network is one of TorchScript, whose parameters cannot be replaced.
        ValueError: two names of one tensor were given different values.
    """
    places, names = _places(network)
    by_tensor: dict[int, Tensor] = {}
    for name, value in values.items():
        own = names[name] if name in names else _looked_up(network, name)
        if by_tensor.setdefault(id(own), value) is not value:
            raise ValueError(f"{name} has two names, whose values differ")
    mode = closed_layers(layers)
    noting = _noting.get()
    buffers: list[tuple[list[Place], Tensor]] = []
    if noting is not None and torch.is_grad_enabled():
        before = noting._before_now()
        if readable_later and before is not None and before.network is network:
            buffers = before.buffers
            for held, buffer in buffers:
                by_tensor[id(held[0][0][held[0][1]])] = buffer.clone()
        elif readable_later:
            buffers = [
                (places[id(own)], by_tensor.get(id(own), own).detach().clone())
                for own in network.buffers()
            ]
    spots = [(place, value) for number, value in by_tensor.items() for place in places[number]]
    if noting is not None and torch.is_grad_enabled():
        later = spots
        if not readable_later:
            later = [(place, _REFUSED) for place, _ in spots]
        replaced = [number for number, value in by_tensor.items() if id(value) != number]
        noting._note(_Pass(network, later, buffers, mode, replaced))
    with _put(spots), mode:
        yield


@contextmanager
def _put(given: list[tuple[Place, Tensor]]) -> Iterator[None]:
    """Put values in different places, and put back in the end what was there."""
    before = [(held, key, held[key]) for (held, key), _ in given]
    try:
        for (held, key), value in given:
            held[key] = value
        yield
    finally:
        for held, key, value in before:
            held[key] = value


@contextmanager
def _run_with(network: nn.Module, layers: Layers) -> Iterator[None]:
    """While entered, the network's modules, run one by one, have these layers.

    Autograd runs them without the modes of whoever asked for a derivative, and on a GPU in another
    thread, so each module enters the mode itself.
    """
    modules = list(network.modules())
    before = [vars(module).get("forward") for module in modules]

    def entering(forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            with closed_layers(layers):
                return forward(*args, **kwargs)

        return run

    try:
        for module in modules:
            vars(module)["forward"] = entering(module.forward)
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            if own is None:
                del vars(module)["forward"]
            else:
                vars(module)["forward"] = own


def _places(network: nn.Module) -> tuple[dict[int, list[Place]], dict[str, Tensor]]:
    """Where the network holds each of its tensors, by its id, and the tensors by name."""
    places: dict[int, list[Place]] = {}
    names = {}
    for prefix, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise TrainingError(
                "A network compiled by torch.jit cannot be run at other parameters: give the "
                "module it was made from."
            )
        for held in (module._parameters, module._buffers):
            for key, tensor in held.items():
                if tensor is not None:
                    names[f"{prefix}.{key}" if prefix else key] = tensor
                    places.setdefault(id(tensor), []).append((held, key))
    return places, names


def _looked_up(network: nn.Module, name: str) -> Tensor:
    """A tensor by a name that goes through the second name of a module."""
    path, _, key = name.rpartition(".")
    module = network.get_submodule(path)
    held = module._parameters if module._parameters.get(key) is not None else module._buffers
    tensor = held.get(key)
    if tensor is None:
        raise ValueError(f"the network has no parameter or buffer called {name}")
    return tensor
