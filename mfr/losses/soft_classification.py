"""Soft classification loss (Guo et al., CVPR 2020, Eq. 2): a batch is its own classifier."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

SCALE: Final = 64.0


def soft_classification(
    gallery: Tensor, probe: Tensor, *, scale: float = SCALE, prototype_gradient: bool = True
) -> Tensor:
    """L_cls of Eq. 2 on one gallery and one probe feature of each of B identities.

    With W_i = normalise((Fg_i + Fp_i) / 2)::

        L_cls = 1/(2B) sum_i [CE(i, s Fg_i W^T) + CE(i, s Fp_i W^T)]

    The paper leaves open whether W is a constant during the step (like the weights of a classifier
    that were set from features) or is differentiated as a function of the features. With
    ``prototype_gradient`` it is differentiated, so that L_cls is a function of the parameters
    alone. The default was chosen by measurement: docs/results/prototype-gradient.md.

    Args:
        gallery: (B, d) features Fg of unit length.
        probe: (B, d) features Fp of unit length, row i the identity of gallery row i.
        scale: s, the inverse temperature of the softmax.
        prototype_gradient: whether gradients flow through W.

    Returns:
        A scalar >= 0.
    """
    prototypes = normalize((gallery + probe) / 2)
    if not prototype_gradient:
        prototypes = prototypes.detach()
    labels = torch.arange(len(gallery), device=gallery.device)
    logits = scale * torch.cat([gallery, probe]) @ prototypes.T
    return cross_entropy(logits, labels.repeat(2))
