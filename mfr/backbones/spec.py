"""What a backbone takes and gives, and how it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mfr.geometry import CropGeometry, FlipFusion


@dataclass(frozen=True)
class BackboneSpec:
    """A network architecture that turns faces into features.

    Attributes:
        build: makes an untrained network, (N, 3, h, w) float -> (N, d) float, not normalised.
        geometry: how a 112 x 112 crop becomes the network's input.
        embedding_size: of one view, unless the argument of that name says otherwise.
        flip_fusion: whether and how an encoder joins the mirrored face's features by default.
    """

    build: Callable[..., nn.Module]
    geometry: CropGeometry
    embedding_size: int
    flip_fusion: FlipFusion = True
