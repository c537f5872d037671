"""Boxes of MTCNN's cascade: proposed, moved, made square and told apart.

The rules are those of the networks' authors, as facenet-pytorch has them, and so are the rounding
and the pixel that boxes count at both ends.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

CELL: Final = 12
"""Side of the first network's window, in pixels."""

STRIDE: Final = 2
"""By which the first network's windows follow each other, in pixels."""


def proposed(moves: Tensor, probability: Tensor, scale: float, threshold: float) -> Tensor:
    """The windows (n, 9) of one image that may show a face: box, probability, move.

    Args:
        moves: (1, 4, h, w), what the first network says of every place.
        probability: (1, h, w).
        scale: of the image that it saw.
        threshold: of the probability.
    """
    rows, columns = (probability[0] >= threshold).nonzero(as_tuple=True)
    corner = torch.stack([columns, rows], dim=1).to(moves.dtype)
    first = ((STRIDE * corner + 1) / scale).floor()
    last = ((STRIDE * corner + CELL) / scale).floor()
    score = probability[0, rows, columns][:, None]
    return torch.cat([first, last, score, moves[0, :, rows, columns].T], dim=1)


def moved(boxes: Tensor, moves: Tensor) -> Tensor:
    """Boxes (n, 5), moved by shares (n, 4) of their sides."""
    sides = (boxes[:, 2:4] - boxes[:, :2] + 1).repeat(1, 2)
    return torch.cat([boxes[:, :4] + moves * sides, boxes[:, 4:]], dim=1)


def squared(boxes: Tensor) -> Tensor:
    """The squares about the middles of boxes (n, 5), with the longer side."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    longest = sides.amax(dim=1, keepdim=True)
    first = boxes[:, :2] + sides * 0.5 - longest * 0.5
    return torch.cat([first, first + longest, boxes[:, 4:]], dim=1)


def distinct_faces(boxes: np.ndarray, most: float) -> np.ndarray:
    """Those of boxes (n, 5) with a probability that lie in none of a higher one: their rows.

    The overlap, which may be ``most``, is the shared area over the smaller one.
    """
    first, last = boxes[:, :2], boxes[:, 2:4]
    areas = (last - first + 1).prod(axis=1)
    left, kept = np.argsort(boxes[:, 4]), []
    while len(left):
        best, left = left[-1], left[:-1]
        kept.append(best)
        shared = np.minimum(last[best], last[left]) - np.maximum(first[best], first[left]) + 1
        overlap = np.maximum(shared, 0).prod(axis=1) / np.minimum(areas[best], areas[left])
        left = left[overlap <= most]
    return np.array(kept, np.int64)
