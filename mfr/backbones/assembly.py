"""A network filled with weights, and how long its features are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mfr.backbones import backbone_spec
from mfr.backbones.unfilled import build_unfilled
from mfr.errors import ModelError
from mfr.geometry import CropGeometry
from mfr.tensor_file import type_name


def assembled(
    backbone: str, arguments: Mapping[str, Any], weights: Mapping[str, torch.Tensor]
) -> nn.Module:
    """The network ``backbone`` with ``weights``, a state dict that it keeps without a copy.

    It is in evaluation mode and without gradients.

    Raises:
        ModelError: the weights are not of that network, or not float32.
    """
    network = build_unfilled(backbone, **arguments)
    try:
        network.load_state_dict(dict(weights), assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"These weights are not of the backbone '{backbone}': use the file and the name that "
            "belong together."
        ) from error
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise ModelError(
                f"The weights '{name}' are of the type {type_name(tensor)}, not float32: use a "
                "model file that was written by mfr."
            )
    return network.eval().requires_grad_(False)


def feature_size(
    network: nn.Module, backbone: str, arguments: Mapping[str, Any], geometry: CropGeometry
) -> int:
    """Length of the features, found with a blank face or, for sizes only a file knows, by shapes.

    Following shapes takes no memory, whatever size a file names, but a second to load.
    """
    device = "meta"
    if geometry == backbone_spec(backbone).geometry:
        device = "cpu"
    else:
        network = build_unfilled(backbone, **arguments).eval()
    with torch.inference_mode():
        images = torch.zeros(1, 3, geometry.height, geometry.width, device=device)
        try:
            return int(network(images).shape[1])
        except RuntimeError as error:
            raise ModelError(
                f"The backbone '{backbone}' does not take crops of the recorded geometry "
                f"({geometry}): use the original model file."
            ) from error
