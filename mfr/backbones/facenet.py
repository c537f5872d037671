"""FaceNet's Inception-ResNet v1 as facenet-pytorch builds it (Schroff et al., CVPR 2015)."""

from __future__ import annotations

from typing import Final

from torch import nn

from mfr.backbones.spec import BackboneSpec
from mfr.geometry import CropGeometry


def facenet(dropout: float = 0.6) -> nn.Module:
    """InceptionResnetV1: (N, 3, 160, 160) -> (N, 512), not normalised.

    Args:
        dropout: probability before the last layer, in training only.
    """
    # Imported here because it costs about a second and most backbones do without it.
    from facenet_pytorch import InceptionResnetV1

    network = InceptionResnetV1(dropout_prob=dropout)
    # The library's forward normalises features unless it is to classify them; with the identity
    # as its classifier it hands over the raw ones, which every backbone here returns.
    network.classify = True
    network.logits = nn.Identity()
    return network


FACENET: Final = BackboneSpec(facenet, CropGeometry(height=160, width=160), embedding_size=512)
