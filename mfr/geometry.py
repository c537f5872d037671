"""The one crop geometry all agree on: 112 x 112 RGB, five points on the ArcFace template."""

from __future__ import annotations

from typing import Final

import numpy as np

CROP_SIZE: Final = 112
"""Side of a crop in pixels."""

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
