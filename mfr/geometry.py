"""The geometry of crops: 112 x 112 RGB, five landmarks on the ArcFace template."""

from __future__ import annotations

from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

CROP_SIZE: Final = 112
"""Side of a crop in pixels."""

LARGEST_INPUT: Final = 1024
"""The largest side of a network's input, in pixels. A model file may say what it likes: a batch of
20000 x 20000 would take more memory than any machine has."""

TEMPLATE: Final = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    dtype=np.float64,
)
"""Where left eye, right eye, nose tip, left and right mouth corner stand in a crop.

(5, 2) x, y in pixels; 'left' is the viewer's left. Guo et al. use it through InsightFace
(Deng et al., ArcFace, CVPR 2019).
"""
TEMPLATE.setflags(write=False)


class CropGeometry(BaseModel):
    """How a 112 x 112 crop becomes the network's input.

    ``columns`` (first, last + 1) are cut out first, for networks that take a narrower face; the
    rest is resized bilinearly to ``height`` x ``width`` where it differs; pixels then enter as
    (x - mean) / scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(default=112, gt=0, le=LARGEST_INPUT)
    width: int = Field(default=112, gt=0, le=LARGEST_INPUT)
    columns: tuple[int, int] = (0, 112)
    mean: float = Field(default=127.5, allow_inf_nan=False)
    scale: float = Field(default=128.0, gt=0, allow_inf_nan=False)

    @field_validator("columns")
    @classmethod
    def _within(cls, columns: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= columns[0] < columns[1] <= CROP_SIZE:
            raise ValueError("columns must be a part of the crop")
        return columns
