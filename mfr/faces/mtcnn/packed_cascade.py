"""MTCNN's cascade by OpenVINO: the networks, thresholds and rules of `cascade`, computed faster.

Boxes and landmarks are those of `cascade` but for rounding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from mfr.faces.mtcnn.cascade import Cascade
from mfr.faces.mtcnn.networks import suppress_overlaps
from mfr.faces.mtcnn.openvino_networks import OpenVinoNetwork
from mfr.faces.mtcnn.packed_pyramid import packed_pyramid
from mfr.faces.mtcnn.sifting import located, merged, refined, squares_of
from mfr.faces.mtcnn.window_means import means, square_windows
from mfr.runtimes.compiled import Compiled

_APART: Final = 2.0**16
"""Moves the boxes of one scale beyond those of the one before; exact, as boxes are whole numbers
of which float32 holds 24 bits."""


class PackedCascade:
    """Finds boxes and landmarks in images; in a forked process, as `Cascade` does.

    Images are searched one by one, so that none changes what is found in another.

    Args:
        thresholds: as `Cascade` takes them.
        factor: the same.

    Raises:
        ConfigError: OpenVINO is not installed.
        ModelError: facenet-pytorch, which has the weights, is not installed as it should be.
    """

    def __init__(self, thresholds: tuple[float, float, float], factor: float) -> None:
        self.thresholds = thresholds
        self.factor = factor
        self._pnet = OpenVinoNetwork("pnet")
        self._rnet = _Stage(OpenVinoNetwork("rnet"), 24, (4, 2), (32, 16, 8, 4))
        self._onet = _Stage(OpenVinoNetwork("onet"), 48, (4, 10, 2), (8, 4, 2, 1))
        self._process = os.getpid()
        self._in_forked = Compiled(lambda _: Cascade(torch.device("cpu"), thresholds, factor))

    @torch.inference_mode()
    def search(
        self, images: Sequence[np.ndarray], smallest: Sequence[int]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Search images for faces. Arguments and results as `Cascade.search`."""
        # In a forked process OpenVINO crashes.
        if os.getpid() != self._process:
            return self._in_forked().search(images, smallest)
        return [self._search(*each) for each in zip(images, smallest, strict=True)]

    def _search(self, image: np.ndarray, smallest: int) -> tuple[np.ndarray, np.ndarray]:
        sums = cv2.integral(np.ascontiguousarray(image))
        squares = self._propose(sums, smallest)
        squares = refined(self.thresholds[1], *self._rnet(sums, squares))
        return located(self.thresholds[2], *self._onet(sums, squares))

    def _propose(self, sums: np.ndarray, smallest: int) -> Tensor:
        """First stage: square boxes (n, 5), found at every scale."""
        height, width = (side - 1 for side in sums.shape[:2])
        found = [np.empty((0, 9), np.float32)]
        levels = [np.empty(0, np.int64)]
        for strip in packed_pyramid(height, width, smallest, self.factor):
            moves, probability = self._pnet(_planes(means(sums, strip.windows)[None]), strip.unseen)
            score = probability[0, 1].reshape(-1)
            (places,) = ((score >= self.thresholds[0]) & (strip.levels >= 0)).nonzero()
            shifts = moves[0].reshape(4, -1)[:, places].T
            found.append(np.concatenate([strip.boxes[places], score[places, None], shifts], axis=1))
            levels.append(strip.levels[places])
        proposals = torch.from_numpy(np.concatenate(found))
        apart = torch.from_numpy(np.concatenate(levels) * _APART).float()[:, None]
        distinct = suppress_overlaps(proposals[:, :4] + apart, proposals[:, 4], 0.5)
        return merged(proposals[distinct])


class _Stage:
    """A network that judges squares of an image: the second or the third.

    Args:
        network: given patches (m, 3, size, size), it returns arrays (m, width).
        size: side of the patches it was trained on.
        widths: of what it returns.
        parts: how many patches may be judged at once, most first. OpenVINO compiles the network
            for each of these, and more patches leave the caches.
    """

    def __init__(
        self,
        network: Callable[[np.ndarray], list[np.ndarray]],
        size: int,
        widths: Sequence[int],
        parts: Sequence[int],
    ) -> None:
        self.network, self.size, self.widths, self.parts = network, size, widths, parts

    def __call__(self, sums: np.ndarray, squares: Tensor) -> tuple[Tensor, ...]:
        """The boxes (n, 5) of ``squares`` that can be faces, and the network's outputs for them."""
        height, width = (side - 1 for side in sums.shape[:2])
        corners, kept = squares_of(squares, torch.tensor([[height, width]]))
        squares, places = squares[kept], corners[kept].numpy()
        said: list[list[np.ndarray]] = [[np.empty((0, n), np.float32)] for n in self.widths]
        while len(places):
            many = next((n for n in self.parts if n <= len(places)), self.parts[-1])
            part, places = places[:many], places[many:]
            windows = square_windows(part, self.size, (height, width))
            patches = means(sums, windows).reshape(len(part), self.size, self.size, 3)
            filled = np.zeros((many, 3, self.size, self.size), np.float32)
            filled[: len(part)] = patches.transpose(0, 3, 1, 2)
            for output, more in zip(said, self.network(filled), strict=True):
                output.append(more[: len(part)])
        return squares, *(torch.from_numpy(np.concatenate(output)) for output in said)


def _planes(pixels: np.ndarray) -> np.ndarray:
    """(n, h, w, 3) as (n, 3, h, w), C-contiguous."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
