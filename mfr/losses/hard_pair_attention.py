"""Hard-pair attention loss (Guo et al., CVPR 2020, Eq. 1): only hard pairs are moved."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

TAU_POSITIVE: Final = 0.3
TAU_POSITIVE_STEP: Final = 0.1
TAU_NEGATIVE: Final = 0.04
TAU_NEGATIVE_DECAY: Final = 0.5


def thresholds(decays: int) -> tuple[float, float]:
    """The thresholds tau_p and tau_n after ``decays`` halvings of the learning rate.

    tau_p = 0.3 + 0.1 n and tau_n = 0.04 / 0.5^n (Guo et al., section 4.1): as n grows, more
    positives and fewer negatives count as hard.
    """
    return TAU_POSITIVE + TAU_POSITIVE_STEP * decays, TAU_NEGATIVE / TAU_NEGATIVE_DECAY**decays


def hard_pair_attention(gallery: Tensor, probe: Tensor, tau_p: float, tau_n: float) -> Tensor:
    """L_hp of Eq. 1 on one gallery and one probe feature of each of B identities.

    With M = Fg Fp^T, P = {i : M_ii < tau_p} and N = {(i, j), i != j : M_ij > tau_n}::

        L_hp = 1/(2|P|) sum_P ||Fg_i - Fp_i||^2 - 1/(2|N|) sum_N ||Fg_i - Fp_j||^2

    On the unit sphere ||a - b||^2 = 2 - 2 <a, b>, so both sums follow from M. An empty set
    contributes exactly 0, to the value and to the gradient. The gradient treats the sets as
    constant: the loss is discontinuous where a pair enters or leaves a set.

    Args:
        gallery: (B, d) features Fg of unit length.
        probe: (B, d) features Fp of unit length, row i the identity of gallery row i.
        tau_p: mated pairs with a cosine below this are hard.
        tau_n: non-mated pairs with a cosine above this are hard.

    Returns:
        A scalar in [-2, 2].
    """
    similarity = gallery @ probe.T
    own = torch.eye(len(gallery), dtype=torch.bool, device=gallery.device)
    hard_positive = own & (similarity < tau_p)
    hard_negative = ~own & (similarity > tau_n)
    half_distance = 1 - similarity
    return _mean_over(half_distance, hard_positive) - _mean_over(half_distance, hard_negative)


def _mean_over(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
