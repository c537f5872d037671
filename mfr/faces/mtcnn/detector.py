"""MTCNN as a detector: boxes and five landmarks in photos of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import cv2
import numpy as np
import torch

from mfr.faces.detector import MIN_FACE_FRACTION
from mfr.faces.face import Face
from mfr.faces.mtcnn.cascade import Cascade
from mfr.faces.mtcnn.packed_cascade import PackedCascade
from mfr.forking import outlast_forks
from mfr.runtimes.choice import chosen

MAX_SIDE: Final = 1024
"""Photos with a longer side are searched in a copy shrunk to this many pixels."""

MIN_FACE: Final = 20
"""The smallest face searched for, in pixels of the searched copy; the detector was trained so."""

_BATCH_PIXELS: Final = 500_000
"""Pixels searched at once: bounds memory (about 0.5 kB a pixel), and was faster than more of them
on a CPU, whose caches it spares."""

_SECOND_LOOK_BORDER: Final = 0.5
"""Width of the border of the second look, as a share of the photo's short side."""


class Search(Protocol):
    """The three networks one after the other, as `Cascade` and `PackedCascade` run them."""

    def search(
        self, images: Sequence[np.ndarray], smallest: Sequence[int]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """As `Cascade.search`."""


class MtcnnDetector:
    """Finds faces in batches of photos; the same photo always gives the same faces.

    Its networks run on PyTorch, or on OpenVINO where that is chosen for embeddings too
    (`mfr.runtimes.choice`): the faces are the same up to a thousandth of a pixel.

    A photo in which nothing is found gets a second look, brightened (or dimmed) to a middle grey
    and with a black border around it. The detector was trained on faces with some background
    around them and on everyday light; the second look finds faces that fill their photo or stand
    in the dark (of the cropped Extended Yale B, 3 in 4 are missed without it and 1 in 5 with it).

    Args:
        device: where the networks run.
        min_face_fraction: faces smaller than this share of a photo's short side are not searched
            for (nor are those below `MIN_FACE`). Most of the time goes into the smallest faces:
            twice the size takes a quarter of it.
        thresholds: a candidate must pass all three of the cascade's networks (Zhang et al.).
        factor: ratio between the scales of the image pyramid.
        runtime: 'openvino' or 'torch'; what is chosen for this machine if not given. On a GPU, and
            where another runtime is chosen, it is PyTorch.

    Raises:
        ConfigError: OpenVINO is to be used and is not installed.
        ModelError: facenet-pytorch, which has the weights, is not installed as it should be.
    """

    name: Final = "mtcnn"

    def __init__(
        self,
        device: str | torch.device = "cpu",
        *,
        min_face_fraction: float = MIN_FACE_FRACTION,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        factor: float = 0.709,
        runtime: str | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.min_face_fraction = min_face_fraction
        self._cascade: Search
        if self.device.type == "cpu" and (runtime or chosen().runtime) == "openvino":
            self._cascade = PackedCascade(thresholds, factor)
        else:
            self._cascade = Cascade(self.device, thresholds, factor)
        outlast_forks("torch")

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        """Find the faces of each (H, W, 3) uint8 RGB image; largest first, empty where none is."""
        copies = [_searched_copy(image) for image in images]
        smallest = [
            max(MIN_FACE, round(self.min_face_fraction * min(copy.shape[:2]))) for copy in copies
        ]
        found = self._search(copies, smallest)
        missed = [i for i, (boxes, _) in enumerate(found) if not len(boxes)]
        borders = {i: round(_SECOND_LOOK_BORDER * min(copies[i].shape[:2])) for i in missed}
        second = self._search(
            [_bordered(_evened(copies[i]), borders[i]) for i in missed],
            [smallest[i] for i in missed],
        )
        for i, raw in zip(missed, second, strict=True):
            found[i] = raw
        return [
            _faces(boxes, points, image.shape, copy.shape, borders.get(i, 0))
            for i, ((boxes, points), image, copy) in enumerate(
                zip(found, images, copies, strict=True)
            )
        ]

    def _search(
        self, images: Sequence[np.ndarray], smallest: Sequence[int]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Boxes and points of each image (see `Cascade.search`), a few images at once."""
        found: list[tuple[np.ndarray, np.ndarray]] = []
        start, pixels = 0, 0
        for end, image in enumerate(images, start=1):
            pixels += image.shape[0] * image.shape[1]
            if pixels >= _BATCH_PIXELS or end == len(images):
                found += self._cascade.search(images[start:end], smallest[start:end])
                start, pixels = end, 0
        return found


def _evened(image: np.ndarray) -> np.ndarray:
    """``image`` with the gamma that brings its mean to a middle grey."""
    mean = float(np.clip(image.mean() / 255, 1 / 255, 254 / 255))
    levels = 255 * np.linspace(0, 1, 256) ** (np.log(0.5) / np.log(mean))
    return np.asarray(cv2.LUT(image, np.rint(levels).astype(np.uint8)))


def _bordered(image: np.ndarray, border: int) -> np.ndarray:
    padding = (border, border, border, border)
    return np.asarray(cv2.copyMakeBorder(image, *padding, cv2.BORDER_CONSTANT))


def _searched_copy(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    shrink = MAX_SIDE / max(height, width)
    if shrink >= 1:
        return image
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _faces(
    boxes: np.ndarray,
    points: np.ndarray,
    shape: tuple[int, ...],
    copy_shape: tuple[int, ...],
    border: int,
) -> list[Face]:
    """Wrap what the cascade returned, in the copy's pixels, as faces of the photo.

    Args:
        boxes: (n, 5) x0, y0, x1, y1, probability.
        points: (n, 5, 2).
        shape: of the photo.
        copy_shape: of the searched copy, without its border.
        border: width of the border around the searched copy.
    """
    ratio = np.array(shape[1::-1]) / copy_shape[1::-1]
    boxes = np.asarray(boxes, np.float64).reshape(-1, 5)
    # Pixel centres are whole numbers, in the copy and in the photo.
    corners = (boxes[:, :4].reshape(-1, 2, 2) - border + 0.5) * ratio - 0.5
    landmarks = (np.asarray(points, np.float64).reshape(-1, 5, 2) - border + 0.5) * ratio - 0.5
    faces = [
        Face(box.reshape(4).astype(np.float32), float(probability), five.astype(np.float32))
        for box, probability, five in zip(corners, boxes[:, 4], landmarks, strict=True)
    ]
    usable = [face for face in faces if np.isfinite(face.landmarks).all() and face.inter_ocular > 1]
    return sorted(usable, key=lambda face: -face.area)
