"""The network as it is trained: a backbone, its input and what a method adds."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize

from mfr.backbones.input import network_input
from mfr.geometry import CropGeometry


class FaceNetwork(nn.Module):
    """A backbone whose features have unit length, with a classifier where the method has one.

    Attributes:
        backbone: (N, 3, h, w) -> (N, d).
        geometry: how crops enter it.
        classifier: (C, d), a row for each class, or None.
    """

    def __init__(self, backbone: nn.Module, geometry: CropGeometry) -> None:
        super().__init__()
        self.backbone = backbone
        self.geometry = geometry
        self.classifier: nn.Parameter | None = None

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, h, w) network input -> (N, d) unit features."""
        return normalize(self.backbone(images))

    def images(self, crops: Tensor) -> Tensor:
        """(N, 112, 112, 3) uint8 crops -> network input on the network's device."""
        device = next(self.parameters()).device
        return network_input(crops.to(device, non_blocking=True), self.geometry)
