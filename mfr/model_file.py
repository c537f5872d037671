"""The model file: one ``.safetensors`` whose header holds a JSON record of everything but weights.

The record says how to rebuild the network, how a crop enters it, how its scores are calibrated and
where it came from. Nothing in it is executable, and nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError

from mfr.errors import ModelError
from mfr.model_record import VERSION, ModelRecord
from mfr.tensor_file import (
    SEAL,
    add_tensors,
    check_finite,
    is_sealed,
    read_metadata,
    read_tensors,
    sealed,
    write_tensors,
)


def hash_model(record: ModelRecord, tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over all that shapes an embedding: weights, backbone, geometry, fusion and centring.

    Calibration, recipe, data summary and the people seen are left out: galleries stay valid when
    they change.
    """
    shaping = record.model_dump(
        include={"backbone", "arguments", "geometry", "embedding_size", "flip_fusion", "centred"}
    )
    digest = hashlib.sha256(json.dumps(shaping, sort_keys=True).encode())
    add_tensors(digest, tensors)
    return digest.hexdigest()


def write_model(
    path: str | Path, record: ModelRecord, tensors: Mapping[str, torch.Tensor]
) -> ModelRecord:
    """Write a model file atomically and return its record with the hash filled in.

    Raises:
        ModelError: a weight is NaN or infinite; such a model is never written.
        WriteError: the disk is full or the place not writable.
    """
    check_finite(path, tensors)
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    record = record.model_copy(update={"model_hash": hash_model(record, stored)})
    # The hash of the model leaves out the calibration, which decides a match: the seal does not.
    write_tensors(path, stored, sealed({}, {"mfr": record.model_dump_json()}))
    return record


def read_model(path: str | Path) -> tuple[ModelRecord, dict[str, torch.Tensor]]:
    """Read and check a model file; tensors on the CPU.

    Raises:
        ModelError: missing, truncated, foreign, of another version, altered (its hash does not
            match), or with weights that are not finite.
    """
    path = Path(path)
    record = read_record(path)
    try:
        tensors = read_tensors(path)[1]
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is truncated or damaged: copy it again from its source."
        ) from error
    check_finite(path, tensors)
    if record.model_hash != hash_model(record, tensors):
        raise ModelError(
            f"{path} was altered after it was written (its hash does not match): "
            "use the original file."
        )
    return record, tensors


def read_record(path: str | Path) -> ModelRecord:
    """Read only the record of a model file. Raises as `read_model` does."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no model file {path}: check the path.")
    try:
        metadata = read_metadata(path)
    except PermissionError as error:
        raise ModelError(f"{path} cannot be read: give yourself permission to read it.") from error
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is not a whole .safetensors file: if it is a checkpoint of another program, "
            "name its network with --backbone; otherwise copy it again from its source."
        ) from error
    if "mfr" not in metadata:
        raise ModelError(
            f"{path} holds weights but no MFR record: name its network with --backbone."
        )
    if SEAL in metadata and not is_sealed({}, metadata):
        raise ModelError(
            f"The record in {path}, with its calibration, was altered after it was written: use "
            "the original file."
        )
    try:
        raw = json.loads(metadata["mfr"])
        version = raw.get("version")
        if version != VERSION:
            raise ModelError(
                f"{path} is of model format {version}, this program reads {VERSION}: "
                "install the mfr that wrote it."
            )
        return ModelRecord.model_validate(raw)
    except (ValidationError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"The record in {path} is damaged: use the original file.") from error
