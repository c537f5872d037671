"""SmallFaceNet, trained on people whom MFR drew: ours to give away, and the quickstart's start."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mfr.errors import ModelError
from mfr.pretrained.model import PretrainedModel

if TYPE_CHECKING:
    import torch

FILE: Final = "drawn_faces.safetensors"
_INSTALL: Final = "install mfr again: the file is part of it"


def _find() -> Path | None:
    path = Path(str(files("mfr.pretrained").joinpath(FILE)))
    return path if path.is_file() else None


def _fetch() -> Path:
    path = _find()
    if path is None:
        raise ModelError(f"The file {FILE} of the model drawn-faces is missing: {_INSTALL}.")
    return path


def _read(path: Path) -> dict[str, torch.Tensor]:
    from mfr.backbones.weights import load_foreign_weights

    return load_foreign_weights(path, "smallfacenet")


DRAWN_FACES: Final = PretrainedModel(
    name="drawn-faces",
    backbone="smallfacenet",
    licence="MIT",
    trained_on="192 people drawn by 'mfr data synth' in daylight, under a lamp from the side, by "
    "near infrared and by a ceiling camera; nobody exists and nobody wears a mask",
    megabytes=0.9,
    find=_find,
    fetch=_fetch,
    read=_read,
    how_to_get=_INSTALL,
)
