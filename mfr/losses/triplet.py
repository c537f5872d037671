"""Triplet loss (Schroff et al., CVPR 2015) with the hardest negative (Hermans et al., 2017)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import relu

MARGIN: Final = 0.2


def triplet(gallery: Tensor, probe: Tensor, *, margin: float = MARGIN) -> Tensor:
    """The mean of [||a - p||^2 - ||a - n||^2 + margin]_+, with each feature once as the anchor a.

    Squared distances and the margin of 0.2 are those of Schroff et al. (Eq. 3). The negative n is
    the nearest feature of another identity on the other side ('batch hard', Hermans et al., Eq. 5).

    Args:
        gallery: (B, d) features of unit length, B >= 2.
        probe: (B, d) features of unit length, row i the identity of gallery row i.
        margin: a squared Euclidean distance, positive.

    Returns:
        A scalar >= 0.
    """
    distance = 2 - 2 * gallery @ probe.T
    positive = distance.diagonal()
    own = torch.eye(len(gallery), dtype=torch.bool, device=gallery.device)
    negatives = distance.masked_fill(own, torch.inf)
    to_gallery = relu(positive - negatives.amin(dim=1) + margin)
    to_probe = relu(positive - negatives.amin(dim=0) + margin)
    return (to_gallery.mean() + to_probe.mean()) / 2
