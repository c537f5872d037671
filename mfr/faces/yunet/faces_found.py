"""What YuNet's output says: boxes, five points and probabilities of the faces in an image.

The rules are those of OpenCV's `FaceDetectorYN`, so that it makes no difference who computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np

SCORE: Final = 0.6
"""A candidate must be so sure to be a face."""

OVERLAP: Final = 0.3
"""Of two candidates whose boxes overlap by more, intersection over union, the surer one stays."""

CANDIDATES: Final = 5000
"""At most so many are looked at."""

STRIDES: Final = (8, 16, 32)
"""Pixels from cell to cell of the network's three grids; the sides of its input are multiples of
the last."""

OUTPUTS: Final = frozenset(
    f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES
)
"""The names of what the network gives."""


def faces_found(outputs: Mapping[str, np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """The faces that the network's ``outputs`` speak of.

    Args:
        outputs: by name; for each of `STRIDES` ``cls_8`` and ``obj_8``, (1, cells, 1), ``bbox_8``,
            (1, cells, 4), and ``kps_8``, (1, cells, 10).
        size: width and height of the input.

    Returns:
        (n, 15) float32: left, top, width and height of the box, x and y of the five points, and the
        probability; the surest first.
    """
    found = np.concatenate([_at_stride(outputs, size, stride) for stride in STRIDES])
    if len(found) < 2:
        return found
    boxes = found[:, :4].astype(np.int32)  # as OpenCV compares them
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), found[:, 14].tolist(), SCORE, OVERLAP, 1.0, CANDIDATES)
    return found[np.asarray(kept, np.int64)]


def _at_stride(outputs: Mapping[str, np.ndarray], size: tuple[int, int], stride: int) -> np.ndarray:
    """The candidates of one grid, (n, 15)."""
    classes, objects = (
        np.clip(outputs[f"{kind}_{stride}"][0, :, 0], 0, 1) for kind in ("cls", "obj")
    )
    scores = np.sqrt(classes * objects)
    cells = np.flatnonzero(scores >= SCORE)
    columns, rows = cells % (size[0] // stride), cells // (size[0] // stride)
    corners = np.stack([columns, rows], axis=1).astype(np.float32)
    box, points = (outputs[f"{kind}_{stride}"][0, cells] for kind in ("bbox", "kps"))
    sides = np.exp(box[:, 2:]) * stride
    starts = (corners + box[:, :2]) * stride - sides / 2
    five = (points.reshape(-1, 5, 2) + corners[:, None]) * stride
    return np.concatenate([starts, sides, five.reshape(-1, 10), scores[cells, None]], axis=1)
