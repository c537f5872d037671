"""Checkpoints: all that training needs to go on to the bit, in one safetensors file a step.

Sampling, augmentation and dropout are functions of the seed and the step, so no generator's state
is kept: weights, buffers, momentum and the number of steps done are all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mfr.errors import TrainingError
from mfr.tensor_file import write_tensors

KEPT: Final = 2
_NETWORK, _MOMENTUM = "network/", "momentum/"


@dataclass(frozen=True)
class Checkpoint:
    """The state after ``step`` steps: network tensors and momentum buffers by name."""

    step: int
    network: dict[str, Tensor]
    momentum: dict[str, Tensor]


def capture(step: int, network: nn.Module, optimiser: torch.optim.Optimizer) -> Checkpoint:
    """The state as it stands (no copies)."""
    momentum = {
        name: optimiser.state[p]["momentum_buffer"]
        for name, p in network.named_parameters()
        if optimiser.state[p].get("momentum_buffer") is not None
    }
    return Checkpoint(step, network.state_dict(), momentum)


def restore(checkpoint: Checkpoint, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Put a checkpoint's state back.

    Raises:
        TrainingError: it is of another network.
    """
    try:
        network.load_state_dict(checkpoint.network)
    except RuntimeError as error:
        raise TrainingError(
            "The checkpoint is of another network or other classes than this run's: "
            "start a new run with another --out."
        ) from error
    parameters = dict(network.named_parameters())
    for name, buffer in checkpoint.momentum.items():
        optimiser.state[parameters[name]]["momentum_buffer"] = buffer.to(parameters[name].device)


def write(directory: Path, checkpoint: Checkpoint) -> Path:
    """Write ``directory/step-NNNNNNNN.safetensors`` atomically; all older ones but one go."""
    path = directory / f"step-{checkpoint.step:08d}.safetensors"
    tensors = {_NETWORK + name: t for name, t in checkpoint.network.items()}
    tensors |= {_MOMENTUM + name: t for name, t in checkpoint.momentum.items()}
    stored = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    write_tensors(path, stored, {"mfr-checkpoint": json.dumps({"step": checkpoint.step})})
    for old in _paths(directory)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def latest(directory: Path) -> Path | None:
    """The newest checkpoint, or None."""
    paths = _paths(directory)
    return paths[-1] if paths else None


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        TrainingError: truncated, damaged or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            step = int(json.loads((file.metadata() or {})["mfr-checkpoint"])["step"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise TrainingError(
            f"The checkpoint {path} is truncated or damaged: delete it to resume from the one "
            "before it."
        ) from error
    return Checkpoint(step, _under(_NETWORK, tensors), _under(_MOMENTUM, tensors))


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def _paths(directory: Path) -> list[Path]:
    return sorted(directory.glob("step-????????.safetensors"))
