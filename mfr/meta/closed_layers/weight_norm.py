"""Weight normalisation, w = g v / ||v||, with the right second derivative.

PyTorch's fused kernel takes the norms that it saved for constants when its backward pass is
differentiated, which leaves out a part of the second derivative (seen in 2.14).
"""

from __future__ import annotations

import torch
from torch import Tensor


def weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """``torch._weight_norm``, which all of PyTorch's weight normalisations call."""
    return v * (g / torch.norm_except_dim(v, 2, dim))
