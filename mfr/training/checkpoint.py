"""Checkpoints: all that training needs to go on to the bit, in one safetensors file for each.

Sampling, augmentation and dropout are functions of the seed and the step, so no random generator's
state is kept. A checkpoint holds the weights and buffers of the network, all that the optimiser
keeps (momentum, Adam's moments, its own count of steps), what the method keeps beside the network,
the mean of the weights so far, and the number of steps done. Tensors stand under ``network/NAME``,
``optimiser/KEY/NAME``, ``method/NAME`` and ``average/NAME``; plain numbers stand in the header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mfr.errors import TrainingError
from mfr.meta.optimiser_state import Plain, named_state, restore_named_state
from mfr.tensor_file import is_sealed, read_tensors, sealed, write_tensors
from mfr.training.averaging import AveragedWeights

KEPT: Final = 2
VERSION: Final = 3
_SEALED: Final = 3
_HEADER: Final = "mfr-checkpoint"
_NETWORK, _OPTIMISER, _METHOD, _AVERAGE = "network/", "optimiser/", "method/", "average/"
# Version 1 knew SGD alone, and called its momentum_buffer/NAME momentum/NAME.
_MOMENTUM: Final = "momentum/"
_BUFFER: Final = "momentum_buffer"


class Stateful(Protocol):
    """What keeps tensors beside the network, as a method does."""

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors by name."""
        ...

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take them back."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """The state after ``step`` steps.

    Attributes:
        step: how many steps are done.
        network: the network's parameters and buffers by name.
        optimiser: what the optimiser keeps for each parameter, by 'KEY/PARAMETER'.
        method: what the method keeps beside the network, by name.
        numbers: the optimiser's values that are not tensors, by 'KEY/PARAMETER'.
        groups: the plain settings of each of the optimiser's groups of parameters, which some
            optimisers change as they go.
        optimiser_kind: the optimiser's class, or empty if the file does not say.
        average: the mean of the weights so far, by name; empty where nothing is averaged yet.
        averaged: how many steps it is the mean of.
    """

    step: int
    network: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    method: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, Plain] = field(default_factory=dict)
    groups: list[dict[str, Plain]] = field(default_factory=list)
    optimiser_kind: str = ""
    average: dict[str, Tensor] = field(default_factory=dict)
    averaged: int = 0


def capture(
    step: int,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    method: Stateful | None = None,
    average: AveragedWeights | None = None,
) -> Checkpoint:
    """The present state: the tensors themselves, not copies.

    Raises:
        TrainingError: the optimiser keeps what a checkpoint cannot hold.
    """
    tensors, numbers = named_state(optimiser, dict(network.named_parameters()))
    return Checkpoint(
        step,
        network.state_dict(),
        tensors,
        {} if method is None else method.state_dict(),
        numbers,
        [
            {key: value for key, value in group.items() if isinstance(value, Plain)}
            for group in optimiser.param_groups
        ],
        type(optimiser).__name__,
        {} if average is None else average.weights,
        0 if average is None else average.count,
    )


def restore(
    checkpoint: Checkpoint,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    method: Stateful | None = None,
    average: AveragedWeights | None = None,
) -> None:
    """Put a checkpoint's state back.

    Raises:
        TrainingError: it is of another network, optimiser or method.
    """
    kind = type(optimiser).__name__
    if checkpoint.optimiser_kind not in ("", kind):
        raise TrainingError(
            f"The checkpoint is of the optimiser {checkpoint.optimiser_kind} and this run's is "
            f"{kind}: start a new run with another --out."
        )
    try:
        network.load_state_dict(checkpoint.network)
        restore_named_state(
            optimiser,
            dict(network.named_parameters()),
            {**checkpoint.optimiser, **checkpoint.numbers},
            checkpoint.groups,
        )
    except (RuntimeError, KeyError, ValueError) as error:
        raise TrainingError(
            "The checkpoint is of another network or other classes than this run's: "
            "start a new run with another --out."
        ) from error
    ours = {} if method is None else method.state_dict()
    if ours.keys() != checkpoint.method.keys():
        raise TrainingError(
            "The checkpoint is of another method than this run's: start a new run with another "
            "--out."
        )
    if method is not None:
        method.load_state_dict(checkpoint.method)
    if average is not None:
        device = next(network.parameters()).device
        average.weights = {name: t.to(device) for name, t in checkpoint.average.items()}
        average.count = checkpoint.averaged


def write(directory: Path, checkpoint: Checkpoint) -> Path:
    """Write ``directory/step-NNNNNNNN.safetensors`` atomically; all older ones but one go."""
    path = directory / f"step-{checkpoint.step:08d}.safetensors"
    tensors = {_NETWORK + name: t for name, t in checkpoint.network.items()}
    tensors |= {_OPTIMISER + name: t for name, t in checkpoint.optimiser.items()}
    tensors |= {_METHOD + name: t for name, t in checkpoint.method.items()}
    tensors |= {_AVERAGE + name: t for name, t in checkpoint.average.items()}
    header = {
        "version": VERSION,
        "step": checkpoint.step,
        "numbers": checkpoint.numbers,
        "groups": checkpoint.groups,
        "optimiser": checkpoint.optimiser_kind,
        "averaged": checkpoint.averaged,
    }
    stored = _storable(tensors)
    write_tensors(path, stored, sealed(stored, {_HEADER: json.dumps(header)}))
    for old in _paths(directory)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def latest(directory: Path) -> Path | None:
    """The newest checkpoint, or None."""
    paths = _paths(directory)
    return paths[-1] if paths else None


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, of this version or an earlier one.

    Raises:
        TrainingError: truncated, damaged of a later version or something else. A single flipped
            bit is noticed.
    """
    try:
        metadata, tensors = read_tensors(path)
        header = json.loads(metadata[_HEADER])
        step, version = int(header["step"]), int(header.get("version", 1))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise TrainingError(
            f"The checkpoint {path} is truncated or damaged: delete it to resume from the one "
            "before it."
        ) from error
    if version > VERSION:
        raise TrainingError(
            f"The checkpoint {path} is of version {version}, this program reads up to {VERSION}: "
            "resume with the mfr that wrote it."
        )
    if version >= _SEALED and not is_sealed(tensors, metadata):
        raise TrainingError(
            f"The checkpoint {path} was altered after it was written: delete it to resume from the "
            "one before it."
        )
    buffers = {f"{_BUFFER}/{name}": t for name, t in _under(_MOMENTUM, tensors).items()}
    return Checkpoint(
        step,
        _under(_NETWORK, tensors),
        _under(_OPTIMISER, tensors) | buffers,
        _under(_METHOD, tensors),
        header.get("numbers", {}),
        header.get("groups", []),
        header.get("optimiser", ""),
        _under(_AVERAGE, tensors),
        header.get("averaged", 0),
    )


def _storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as safetensors takes them: contiguous, on the CPU, none sharing its memory."""
    stored: dict[str, Tensor] = {}
    memory: set[int] = set()
    for name, tensor in tensors.items():
        on_cpu = tensor.detach().cpu().contiguous()
        place = on_cpu.untyped_storage().data_ptr()
        stored[name] = on_cpu.clone() if place in memory else on_cpu
        memory.add(place)
    return stored


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def _paths(directory: Path) -> list[Path]:
    return sorted(directory.glob("step-????????.safetensors"))
