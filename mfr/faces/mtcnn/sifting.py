"""What is left of an image's candidates after each of the three networks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mfr.faces.mtcnn.boxes import distinct_faces, moved, squared
from mfr.faces.mtcnn.networks import suppress_overlaps


def merged(proposals: Tensor) -> Tensor:
    """The distinct ones of proposals (n, 9) from all scales, moved, as squares (m, 5)."""
    found = proposals[suppress_overlaps(proposals[:, :4], proposals[:, 4], 0.7)]
    sides = (found[:, 2:4] - found[:, :2]).repeat(1, 2)
    shifted = found[:, :4] + found[:, 5:9] * sides
    return squared(torch.cat([shifted, found[:, 4:5]], dim=1))


def squares_of(boxes: Tensor, limits: Tensor) -> tuple[Tensor, Tensor]:
    """The pixels of boxes (n, 5), and which of these can be faces.

    Boxes count pixels from 1, both ends included, as in the program of the networks' authors.
    Boxes without a pixel in the image, or of more than twice its size, cannot be faces.

    Args:
        boxes: square ones.
        limits: (n, 2) or (1, 2), heights and widths of the images.

    Returns:
        (n, 4) int64 x0, y0, x1, y1, the last row and column not included; (n,) bool.
    """
    corners = boxes[:, :4].trunc().long()
    corners[:, :2] -= 1
    limits = limits.flip(1)
    inside = (corners[:, :2].clamp(min=0) < corners[:, 2:].minimum(limits)).all(1)
    sides = (corners[:, 2:] - corners[:, :2]).amax(1)
    return corners, inside & (sides <= 2 * limits.amax(1) + 1)


def refined(threshold: float, boxes: Tensor, moves: Tensor, probability: Tensor) -> Tensor:
    """The distinct squares (m, 5) of one image that the second network lets through, moved."""
    keep = probability[:, 1] > threshold
    boxes = torch.cat([boxes[keep, :4], probability[keep, 1:]], dim=1)
    distinct = suppress_overlaps(boxes[:, :4], boxes[:, 4], 0.7)
    return squared(moved(boxes[distinct], moves[keep][distinct]))


def located(
    threshold: float, boxes: Tensor, moves: Tensor, points: Tensor, probability: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """The distinct boxes and landmarks in one image that the third network lets through."""
    keep = probability[:, 1] > threshold
    boxes = torch.cat([boxes[keep, :4], probability[keep, 1:]], dim=1)
    # The points lie in the box as shares of its sides: all x, then all y.
    sides = boxes[:, 2:4] - boxes[:, :2] + 1
    landmarks = points[keep].reshape(-1, 2, 5).transpose(1, 2)
    landmarks = landmarks * sides[:, None] + boxes[:, None, :2] - 1
    found = moved(boxes, moves[keep]).cpu().numpy()
    distinct = distinct_faces(found, 0.7)
    return found[distinct], landmarks.cpu().numpy()[distinct]
