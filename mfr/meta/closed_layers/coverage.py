"""Where the closed layers stand in, and how a stack of tasks is one task's tensor to them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

Dims = tuple["int | None", ...]


def covered(*tensors: Tensor | None) -> bool:
    """Known to be right and to pay: float32 or 64 on the CPU, and derivatives in reverse mode."""
    # Forward mode is on between entering a dual level and leaving it; torch has no public question
    # for that which vmap would answer.
    if forward_ad._current_level >= 0 or torch.is_autocast_enabled("cpu"):
        return False
    return all(
        t is None or (t.device.type == "cpu" and t.dtype in (torch.float32, torch.float64))
        for t in tensors
    )


def fold(tensor: Tensor, dim: int | None, into: int, tasks: int) -> Tensor:
    """Fold the axis of tasks into axis ``into`` of one task's tensor, tasks outermost."""
    if dim is None:
        tensor, dim = tensor.unsqueeze(0).expand(tasks, *tensor.shape), 0
    return tensor.movedim(dim, into).flatten(into, into + 1)
