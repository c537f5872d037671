"""Large-margin softmax over a classifier's rows: CosFace (Wang et al., CVPR 2018, Eq. 4)."""

from __future__ import annotations

from typing import Final

from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

SCALE: Final = 64.0
MARGIN: Final = 0.35


def cosface(
    features: Tensor, rows: Tensor, labels: Tensor, *, scale: float = SCALE, margin: float = MARGIN
) -> Tensor:
    """Cross entropy of s (cos(theta_j) - m [j = label]).

    Args:
        features: (B, d) features of unit length.
        rows: (C, d) classifier, one row for each class, of any length.
        labels: (B,) the class of each feature, 0 to C - 1.
        scale: s (64 in the paper's released settings).
        margin: m, subtracted from the cosine of the own class (0.35).

    Returns:
        A scalar, the mean over the batch.
    """
    cosines = features @ normalize(rows).T
    return cross_entropy(scale * (cosines - margin * one_hot(labels, len(rows))), labels)
