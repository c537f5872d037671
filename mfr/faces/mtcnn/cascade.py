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
from mfr.faces.mtcnn.boxes import CELL, distinct_faces, moved, proposed, squared
from mfr.faces.mtcnn.networks import load_network, suppress_overlaps


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
        refined = [_refined(self.thresholds[1], *seen) for seen in self._rnet(averages, proposals)]
        return [_faces(self.thresholds[2], *seen) for seen in self._onet(averages, refined)]

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
        found = torch.cat(proposals)
        found = found[suppress_overlaps(found[:, :4], found[:, 4], 0.7)]
        sides = (found[:, 2:4] - found[:, :2]).repeat(1, 2)
        shifted = found[:, :4] + found[:, 5:9] * sides
        return squared(torch.cat([shifted, found[:, 4:5]], dim=1))


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
        """For each image, its boxes (n, 5) that can be faces, and the network's outputs for them.

        Boxes count pixels from 1, both ends included, as in the program of the networks' authors.
        Boxes without a pixel in the image, or of more than twice its size, cannot be faces and are
        left out.
        """
        boxes = torch.cat(list(squares))
        counts = torch.tensor([len(each) for each in squares], device=boxes.device)
        owners = torch.arange(len(squares), device=boxes.device).repeat_interleave(counts)
        corners = boxes[:, :4].trunc().long()
        corners[:, :2] -= 1
        limits = torch.tensor(averages.sizes, device=boxes.device).flip(1)[owners]
        inside = (corners[:, :2].clamp(min=0) < corners[:, 2:].minimum(limits)).all(1)
        sides = (corners[:, 2:] - corners[:, :2]).amax(1)
        kept = inside & (sides <= 2 * limits.amax(1) + 1)
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


def _refined(threshold: float, boxes: Tensor, moves: Tensor, probability: Tensor) -> Tensor:
    """The distinct squares (m, 5) of one image that the second network lets through, moved."""
    keep = probability[:, 1] > threshold
    boxes = torch.cat([boxes[keep, :4], probability[keep, 1:]], dim=1)
    distinct = suppress_overlaps(boxes[:, :4], boxes[:, 4], 0.7)
    return squared(moved(boxes[distinct], moves[keep][distinct]))


def _faces(
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


def _normalised(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) / 128
