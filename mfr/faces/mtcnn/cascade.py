"""MTCNN's cascade: three small networks, each looking closer at what the one before let through.

Zhang et al., Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks
(IEEE SPL 2016), with facenet-pytorch's networks and weights. Its own ``detect`` is not used for
three reasons: it stretches candidates that reach beyond the image where the paper's code pads them
with black, which puts the landmarks of tightly cropped faces far off; it fails on candidates
outside the image; and it suppresses overlaps over a whole batch by shifting boxes, so that the
other images of a batch can change what is found in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mfr.faces.mtcnn.averages import AreaAverages
from mfr.faces.mtcnn.boxes import CELL, proposed
from mfr.faces.mtcnn.networks import load_network, suppress_overlaps
from mfr.faces.mtcnn.sifting import located, merged, refined, squares_of


class Cascade:
    """Finds boxes and landmarks in images.

    Args:
        device: where the networks run.
        thresholds: a candidate must pass all three networks.
        factor: ratio between the scales of the image pyramid.
    """

    def __init__(
        self, device: torch.device, thresholds: tuple[float, float, float], factor: float
    ) -> None:
        self.device = device
        self.thresholds = thresholds
        self.factor = factor
        self._pnet = load_network("pnet", device)
        self._rnet = _Stage(load_network("rnet", device), 24, (4, 2), part=32)
        self._onet = _Stage(load_network("onet", device), 48, (4, 10, 2), part=8)

    @torch.inference_mode()
    def search(
        self, images: Sequence[np.ndarray], smallest: Sequence[int]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Search images of any sizes for faces.

        Args:
            images: N images (H, W, 3) uint8, of at most 8 million pixels each.
            smallest: the smallest face searched for in each image, in pixels; nothing is found in
                images with a shorter side.

        Returns:
            For each image the boxes (n, 5) float32 x0, y0, x1, y1, probability, and the landmarks
            (n, 5, 2) float32 x, y, in pixels.
        """
        if not images:
            return []
        averages = AreaAverages(images, self.device)
        proposals = [
            self._propose(averages, position, side) for position, side in enumerate(smallest)
        ]
        closer = [refined(self.thresholds[1], *seen) for seen in self._rnet(averages, proposals)]
        return [located(self.thresholds[2], *seen) for seen in self._onet(averages, closer)]

    def _propose(self, averages: AreaAverages, position: int, smallest: int) -> Tensor:
        """First stage: square boxes (n, 5) in one image, found at every scale."""
        height, width = averages.sizes[position]
        proposals = [torch.empty(0, 9, device=self.device)]
        scale = CELL / smallest
        while min(height, width) * scale >= CELL:
            size = int(height * scale + 1), int(width * scale + 1)
            shrunk = _normalised(averages.whole(position, size))
            regression, probability = self._pnet(shrunk)
            boxes = proposed(regression, probability[:, 1], scale, self.thresholds[0])
            proposals.append(boxes[suppress_overlaps(boxes[:, :4], boxes[:, 4], 0.5)])
            scale *= self.factor
        return merged(torch.cat(proposals))


class _Stage:
    """A network that judges squares of images: the second or the third.

    Args:
        network: given patches (m, 3, size, size), it returns tensors (m, width).
        size: side of the patches it was trained on.
        widths: of what it returns.
        part: patches judged at once; more of them at once were slower by up to 9 times on a CPU,
            whose caches no longer held what lies between the layers.
    """

    def __init__(self, network: nn.Module, size: int, widths: Sequence[int], part: int) -> None:
        self.network, self.size, self.widths, self.part = network, size, widths, part

    def __call__(
        self, averages: AreaAverages, squares: Sequence[Tensor]
    ) -> Iterator[tuple[Tensor, ...]]:
        """For each image, its boxes (n, 5) that can be faces, and what is said of them."""
        boxes = torch.cat(list(squares))
        counts = torch.tensor([len(each) for each in squares], device=boxes.device)
        owners = torch.arange(len(squares), device=boxes.device).repeat_interleave(counts)
        limits = torch.tensor(averages.sizes, device=boxes.device)[owners]
        corners, kept = squares_of(boxes, limits)
        boxes, corners, owners = boxes[kept], corners[kept], owners[kept]
        said = [boxes.new_empty(0, width) for width in self.widths]
        if len(boxes):
            # Filled up with the last one: parts of one size are computed in one way, so that what
            # is said of a square does not depend on how many there are.
            filled = torch.arange(len(boxes) + -len(boxes) % self.part, device=boxes.device)
            said = [
                torch.cat(tensors)[: len(boxes)]
                for tensors in zip(
                    *(
                        self.network(
                            _normalised(averages.patches(owners[part], corners[part], self.size))
                        )
                        for part in filled.clamp(max=len(boxes) - 1).split(self.part)
                    ),
                    strict=True,
                )
            ]
        shares = torch.bincount(owners, minlength=len(squares)).tolist()
        return zip(*(tensor.split(shares) for tensor in (boxes, *said)), strict=True)


def _normalised(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) / 128
