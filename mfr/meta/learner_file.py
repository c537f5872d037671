"""The learner file: everything that a meta learner has learned, in one ``.safetensors``.

It holds the network's parameters and buffers, the rule's own parameters (Meta-SGD's rates) and, if
there are any, the statistics of the inner steps. Its header names the format and the rule. To load
it, first build the learner as in training; the file then fits that learner exactly or is refused,
so nothing in it is executed and nothing is guessed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from torch import Tensor

from mfr.errors import ModelError
from mfr.meta.learner import MetaLearner
from mfr.meta.step_statistics import StepStatistics
from mfr.tensor_file import SEAL, check_finite, is_sealed, read_tensors, sealed, write_tensors

FORMAT: Final = "mfr-learner"
VERSION: Final = 1
_HEADER: Final = "mfr-learner"


def save_learner(
    path: str | Path, learner: MetaLearner, statistics: StepStatistics | None = None
) -> None:
    """Write what ``learner`` has learned to ``path``, whole or not at all.

    The optimiser's state is not included: training is resumed from checkpoints.

    Raises:
        ModelError: a value is NaN or infinite.
        WriteError: the disk is full or the place not writable.
    """
    # Copies, because safetensors refuses parameters that share their memory.
    stored = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in _tensors(learner, statistics).items()
    }
    check_finite(path, stored)
    header = {"format": FORMAT, "version": VERSION, "rule": type(learner.rule).__name__}
    write_tensors(path, stored, sealed(stored, {_HEADER: json.dumps(header)}))


def load_learner(
    path: str | Path, learner: MetaLearner, statistics: StepStatistics | None = None
) -> None:
    """Load what `save_learner` wrote into ``learner``, in place; on an error nothing changes.

    Args:
        path: the file.
        learner: with a network and a rule like those that were saved.
        statistics: of the inner steps, if the saved learner had them.

    Raises:
        ModelError: the file is missing, truncated, foreign, of another version, rule or network, or
            has values that are not finite.
    """
    path = Path(path)
    found = _read(path, type(learner.rule).__name__)
    ours = _tensors(learner, statistics)
    for name in sorted(found.keys() ^ ours.keys()):
        sides = ["the file", "this learner"]
        holder, other = sides if name in found else sides[::-1]
        raise ModelError(
            f"{path} does not fit: {holder} has '{name}', {other} has not: build the learner with "
            "the network and rule it was saved with."
        )
    for name, value in ours.items():
        if found[name].shape != value.shape or found[name].dtype != value.dtype:
            raise ModelError(
                f"{path} does not fit: '{name}' is {_described(found[name])} there and "
                f"{_described(value)} in this learner: build the learner with the network and rule "
                "it was saved with."
            )
    check_finite(path, found)
    with torch.no_grad():
        for name, value in ours.items():
            value.copy_(found[name])


def _tensors(learner: MetaLearner, statistics: StepStatistics | None) -> dict[str, Tensor]:
    """Everything that is learned, by its name in the file: the tensors themselves."""
    tensors = {f"network/{name}": t for name, t in learner.network.state_dict().items()}
    tensors |= {f"rule/{name}": t for name, t in learner.rule.own_parameters.items()}
    if statistics is not None:
        tensors |= {f"steps/{name}": t for name, t in statistics.values.items()}
    return tensors


def _read(path: Path, rule: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"There is no learner file {path}: check the path.")
    try:
        metadata, tensors = read_tensors(path)
        header = json.loads(metadata[_HEADER]) if _HEADER in metadata else {}
    except PermissionError as error:
        raise ModelError(f"{path} cannot be read: give yourself permission to read it.") from error
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} is truncated, damaged or no learner file: copy it again from its source."
        ) from error
    if SEAL in metadata and not is_sealed(tensors, metadata):
        raise ModelError(f"{path} was altered after it was written: copy it again from its source.")
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelError(
            f"{path} is not a learner file: give one that was written by save_learner."
        )
    if header.get("version") != VERSION:
        raise ModelError(
            f"{path} is of learner format {header.get('version')}, this program reads {VERSION}: "
            "install the mfr that wrote it."
        )
    if header.get("rule") != rule:
        raise ModelError(
            f"{path} was learned by the rule {header.get('rule')}, this learner's is {rule}: "
            "build the learner with the rule it was saved with."
        )
    return tensors


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
