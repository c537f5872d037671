"""What YuNet's output says, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mfr.faces.yunet.faces_found import STRIDES, faces_found


def silent(width: int, height: int) -> dict[str, np.ndarray]:
    """Outputs that speak of no face."""
    kinds = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    return {
        f"{kind}_{stride}": np.zeros((1, (width // stride) * (height // stride), size), np.float32)
        for kind, size in kinds.items()
        for stride in STRIDES
    }


def speak(outputs: dict[str, np.ndarray], stride: int, cell: int, cls: float, obj: float) -> None:
    """Let a cell tell of a face twice as wide as its stride and four times as high."""
    outputs[f"cls_{stride}"][0, cell], outputs[f"obj_{stride}"][0, cell] = cls, obj
    outputs[f"bbox_{stride}"][0, cell] = 0.5, 0.25, math.log(2), math.log(4)
    outputs[f"kps_{stride}"][0, cell] = np.arange(10) / 8


def test_a_cell_tells_a_box_points_and_a_probability() -> None:
    outputs = silent(64, 32)
    speak(outputs, 8, 8 + 3, 1.5, 0.64)  # row 1, column 3; a class above 1 counts as 1
    (found,) = faces_found(outputs, (64, 32))
    left, top = (3 + 0.5) * 8 - 16 / 2, (1 + 0.25) * 8 - 32 / 2
    points = [(3 if n % 2 == 0 else 1) * 8 + n for n in range(10)]
    assert found.tolist() == pytest.approx([left, top, 16, 32, *points, 0.8])


def test_who_is_not_sure_enough_is_no_face() -> None:
    outputs = silent(64, 64)
    speak(outputs, 16, 0, 0.59, 0.6)
    assert faces_found(outputs, (64, 64)).shape == (0, 15)


def test_the_surer_of_two_that_overlap_stays_and_who_stands_apart_does_too() -> None:
    outputs = silent(128, 128)
    speak(outputs, 16, 0, 0.7, 0.7)
    speak(outputs, 16, 1, 0.9, 0.9)  # half of the one beside it
    speak(outputs, 8, 16 * 15 + 15, 0.8, 0.8)
    assert faces_found(outputs, (128, 128))[:, 14] == pytest.approx([0.9, 0.8])
