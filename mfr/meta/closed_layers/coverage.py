"""Where the closed layers replace PyTorch's, and how they see a stack of tasks as one task."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

Dims = tuple["int | None", ...]


def covered(*tensors: Tensor | None) -> bool:
    """Whether closed layers are right and faster: float32 or 64 on the CPU, in reverse mode."""
    # Forward mode is active inside a dual level. Torch has no public way to ask for that which
    # works under vmap.
    if forward_ad._current_level >= 0 or torch.is_autocast_enabled("cpu"):
        return False
    return all(
        t is None or (t.device.type == "cpu" and t.dtype in (torch.float32, torch.float64))
        for t in tensors
    )


def fold(tensor: Tensor, dim: int | None, into: int, tasks: int) -> Tensor:
    """Fold the axis of tasks, ``dim``, into axis ``into`` of one task's tensor, tasks outermost."""
    if dim is None:
        tensor, dim = tensor.unsqueeze(0).expand(tasks, *tensor.shape), 0
    return tensor.movedim(dim, into).flatten(into, into + 1)
