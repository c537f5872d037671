"""YuNet as a detector: boxes and five landmarks in photos of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np

from mfr.errors import ConfigError
from mfr.faces.detector import MIN_FACE_FRACTION
from mfr.faces.face import Face
from mfr.faces.yunet.opencv_network import OpenCvNetwork
from mfr.faces.yunet.openvino_network import OpenVinoNetwork
from mfr.faces.yunet.weights import yunet_file
from mfr.runtimes.choice import chosen

_SMALLEST: Final = 16
"""The smallest face that is found reliably, in pixels of the searched copy."""
_LEAST_SIDE: Final = 32
"""Smaller copies leave the network without a cell at its coarsest stride."""


class YunetDetector:
    """Finds faces one photo at a time; the same photo always gives the same faces.

    A photo is searched in a copy so small that the smallest face searched for has 16 pixels; with a
    share of 0.05 its short side has 320. A photo in which nothing is found, as a face may fill it,
    is searched once more with a border around it.

    Its network runs on OpenCV, or on OpenVINO where that is chosen for embeddings too
    (`mfr.runtimes.choice`): the faces are the same up to a hundredth of a pixel.

    Args:
        device: 'cpu'.
        min_face_fraction: faces smaller than this share of a photo's short side are not searched
            for.
        runtime: 'openvino', else it is OpenCV; what is chosen for this machine if not given.

    Raises:
        ConfigError: the device is another one, or OpenVINO is to be used and is not installed.
        ModelError: the network's file is not there, or is another one.
    """

    name: Final = "yunet"
    sure: Final = 0.92
    """See `mfr.faces.turning.SURE`: of faces that are turned not one in a hundred reaches it, of
    upright ones 94% (docs/results/turned-photos.md)."""

    def __init__(
        self,
        device: object = "cpu",
        *,
        min_face_fraction: float = MIN_FACE_FRACTION,
        runtime: str | None = None,
    ) -> None:
        if str(device) != "cpu":
            raise ConfigError(
                f"The detector yunet computes on the CPU, not on '{device}': choose --detector "
                "mtcnn, or --device cpu."
            )
        self.min_face_fraction = min_face_fraction
        # Which of the two computes is no part of what a detector is.
        network = OpenVinoNetwork if (runtime or chosen().runtime) == "openvino" else OpenCvNetwork
        self._network: Callable[[np.ndarray], np.ndarray] = network(str(yunet_file()))

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        """Find the faces of each (H, W, 3) uint8 RGB image; largest first, empty where none is."""
        return [self._search(image, 0) or self._search(image, _border(image)) for image in images]

    def _search(self, image: np.ndarray, border: int) -> list[Face]:
        """The faces in ``image`` with a black ``border``, in pixels of the image."""
        padding = (border, border, border, border)
        whole = cv2.copyMakeBorder(image, *padding, cv2.BORDER_CONSTANT) if border else image
        height, width = whole.shape[:2]
        side = _SMALLEST / self.min_face_fraction
        shrink = min(1.0, side / min(image.shape[:2]))
        size = tuple(max(_LEAST_SIDE, round(shrink * length)) for length in (width, height))
        copy = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
        rows = self._network(cv2.cvtColor(copy, cv2.COLOR_RGB2BGR))
        # Of YuNet's pixels the first begins at 0, of ours its centre is there.
        ratio = np.array([width / size[0], height / size[1]])
        points = rows[:, 4:14].reshape(-1, 5, 2) * ratio - border - 0.5
        corners = np.stack([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1) * ratio - border - 0.5
        faces = [
            Face(
                box.reshape(4).astype(np.float32),
                float(min(1.0, probability)),
                five.astype(np.float32),
            )
            for box, five, probability in zip(corners, points, rows[:, 14], strict=True)
            if not np.array_equal(five[0], five[1])
        ]
        return sorted(faces, key=lambda face: face.area, reverse=True)


def _border(image: np.ndarray) -> int:
    """The border of the second look: half of the photo's short side."""
    return min(image.shape[:2]) // 2
