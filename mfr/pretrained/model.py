"""What is known of a pretrained model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PretrainedModel:
    """A network whose weights others trained.

    Attributes:
        name: what users call it.
        backbone: the name of its network.
        licence: under which its weights may be used, in a few words.
        trained_on: what its weights were learned from.
        megabytes: the size of its file.
        find: where its file is, or None; never downloads.
        fetch: the same, downloading where that is needed; raises `ModelError` where it fails.
        read: the file's content as a complete state dict of the backbone.
        how_to_get: what to do where the file is not there, a clause.
        calibration: the file beside this module that says what its scores mean; None if that was
            not measured.
    """

    name: str
    backbone: str
    licence: str
    trained_on: str
    megabytes: float
    find: Callable[[], Path | None]
    fetch: Callable[[], Path]
    read: Callable[[Path], dict[str, torch.Tensor]]
    how_to_get: str
    calibration: str | None = None
