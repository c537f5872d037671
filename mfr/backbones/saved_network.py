"""The network of a model file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from mfr.backbones.assembly import assembled, feature_size
from mfr.backbones.weights import CENTRE
from mfr.errors import ModelError
from mfr.model_file import read_model
from mfr.model_record import ModelRecord, check_backbone
from mfr.registry import is_place


def read_network(
    path: str | Path, backbone: str | None
) -> tuple[ModelRecord, nn.Module, np.ndarray | None]:
    """The record, the network and the centre, (D,) float32 or None, in a model file.

    Args:
        path: the file.
        backbone: the name of the network where the user gave one; code outside MFR is run only
            then.

    Raises:
        ModelError: the file cannot be used, or is of another backbone or of one outside MFR that
            was not named.
    """
    record, tensors = read_model(path)
    check_backbone(path, record, backbone)
    if backbone is None and is_place(record.backbone):
        raise ModelError(
            f"{path} is a model of a backbone outside MFR, whose code is not run unless you "
            f"name it: if you trust it, pass --backbone {record.backbone}."
        )
    centre = tensors.pop(CENTRE, None)
    network = assembled(record.backbone, record.arguments, tensors)
    size = feature_size(network, record.backbone, record.arguments, record.geometry)
    fits = size == record.embedding_size and record.centred == (centre is not None)
    if centre is not None:
        fits = fits and centre.shape == (record.fused_size,) and centre.dtype == torch.float32
    if not fits:
        raise ModelError(f"The record in {path} belies its weights: use the original file.")
    return record, network, None if centre is None else centre.numpy()
