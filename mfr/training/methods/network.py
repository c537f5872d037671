"""The network as it is trained: a backbone, its input and what a method adds."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mfr.backbones.input import network_input
from mfr.geometry import CropGeometry


class FaceNetwork(nn.Module):
    """A backbone whose features have unit length, with a classifier where the method has one.

    Attributes:
        backbone: (N, 3, h, w) -> (N, d).
        geometry: how crops enter it.
        precision: in which the backbone's layers compute; features have float32 at least, for
            losses tell cosines apart that bfloat16 does not.
        classifier: (C, d), a row for each class, or None.
    """

    def __init__(
        self,
        backbone: nn.Module,
        geometry: CropGeometry,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.geometry = geometry
        self.precision = precision
        self.classifier: nn.Parameter | None = None

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, h, w) network input -> (N, d) unit features."""
        lower = self.precision != torch.float32
        with torch.autocast(images.device.type, self.precision, enabled=lower):
            features = self.backbone(images)
        return normalize(features.to(torch.promote_types(features.dtype, torch.float32)))

    def images(self, crops: Tensor) -> Tensor:
        """(N, 112, 112, 3) uint8 crops -> network input on the network's device."""
        device = next(self.parameters()).device
        return network_input(crops.to(device, non_blocking=True), self.geometry)
