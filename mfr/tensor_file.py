"""Safetensors files: written whole or not at all, read from anybody, and checked.

A seal, the SHA-256 of tensors and metadata, stands among the metadata of files that are sealed. It
finds flipped bits, not an enemy who can write the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mfr import atomic
from mfr.errors import ModelError

SEAL: Final = "sha256"
"""The key of the seal among the metadata."""

_FLOATS: Final = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write ``tensors``, contiguous ones on the CPU, and ``metadata`` to ``path``.

    The same tensors and metadata give the same bytes.

    Raises:
        WriteError: the disk is full or the place not writable; what was there is untouched.
    """
    with atomic.replacing(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata=dict(metadata))
            _sort_metadata(temporary)
        except SafetensorError as error:
            # The library tells what the operating system said in the text of its own error only.
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a file, and nothing else.

    Raises:
        SafetensorError: it is no whole safetensors file.
        OSError: it is no regular file (a pipe is not waited for), or cannot be read.
    """
    _insist_on_a_file(path)
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and the tensors of a file, on the CPU. Raises as `read_metadata` does."""
    _insist_on_a_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
        try:
            return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            # Types and shapes that the library knows and torch does not.
            raise SafetensorError(str(error)) from error


def sealed(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> dict[str, str]:
    """``metadata`` with the seal of both."""
    return {**metadata, SEAL: _digest(tensors, metadata)}


def is_sealed(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool:
    """Whether the seal among ``metadata`` is there and right."""
    rest = {key: value for key, value in metadata.items() if key != SEAL}
    return metadata.get(SEAL) == _digest(tensors, rest)


def add_tensors(digest: hashlib._Hash, tensors: Mapping[str, Tensor]) -> None:
    """Add the names, types, shapes and values of ``tensors`` to a digest, in the names' order."""
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)


def check_finite(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights with NaN or infinity, or of a type that cannot be checked.

    Raises:
        ModelError: naming the first such tensor.
    """
    for name, tensor in tensors.items():
        if tensor.is_complex() or (tensor.is_floating_point() and tensor.dtype not in _FLOATS):
            raise ModelError(
                f"{path}: the tensor '{name}' is of the type {type_name(tensor)}, with which "
                "nothing here computes: convert the file to float32."
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"{path}: the tensor '{name}' has NaN or infinite values: use an earlier "
                "checkpoint or another file."
            )


def type_name(tensor: Tensor) -> str:
    """'float32' for torch.float32."""
    return str(tensor.dtype).removeprefix("torch.")


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for key in sorted(metadata):
        digest.update(f"{len(key)} {len(metadata[key])} {key}{metadata[key]}".encode())
    add_tensors(digest, tensors)
    return digest.hexdigest()


def _sort_metadata(path: Path) -> None:
    """Put a file's metadata in the order of their keys; the library's is another each time."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        if "__metadata__" not in header:
            return
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        ordered = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        # The same JSON in another order is as long; the library pads it with spaces.
        assert len(ordered) <= length
        file.seek(8)
        file.write(ordered.ljust(length))


def _insist_on_a_file(path: Path) -> None:
    if not path.is_file():
        raise OSError(f"{path} is no regular file")
