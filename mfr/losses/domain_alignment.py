"""Domain alignment loss (Guo et al., CVPR 2020, Eq. 3): pull the domains' centres together."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import one_hot

SCALE: Final = 64.0


def domain_alignment(
    gallery: Tensor, probe: Tensor, domains: Tensor, *, scale: float = SCALE
) -> Tensor:
    """L_da of Eq. 3 on one gallery and one probe feature of each of B identities.

    With c_j = mean over domain j's identities of (Fg + Fp) / 2 and c_mtr = mean_j c_j over the n
    domains present::

        L_da = 1/n sum_j ||s (c_j - c_mtr)||^2

    MFR applies it to the meta-train domains only. With a single domain it is exactly 0.

    Args:
        gallery: (B, d) features Fg of unit length.
        probe: (B, d) features Fp of unit length, row i the identity of gallery row i.
        domains: (B,) the domain of each identity, as any integers.
        scale: s, positive.

    Returns:
        A scalar >= 0.
    """
    _, index = torch.unique(domains, return_inverse=True)
    # A matrix product rather than index_add, whose order of additions on a GPU is not fixed.
    member = one_hot(index).to(gallery.dtype).T
    centres = member @ ((gallery + probe) / 2) / member.sum(dim=1, keepdim=True)
    return (scale * (centres - centres.mean(dim=0))).square().sum(dim=1).mean()
