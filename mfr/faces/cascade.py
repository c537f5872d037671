"""MTCNN's cascade: three small networks, each looking closer at what the one before let through.

Zhang et al., Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks
(IEEE SPL 2016), with facenet-pytorch's networks and weights. Its own ``detect`` is not used for
three reasons: it stretches candidates that reach beyond the image where the paper's code pads them
with black, which puts the landmarks of tightly cropped faces far off; it fails on candidates
outside the image; and it suppresses overlaps over a whole batch by shifting boxes, so that the
company an image is in can change what is found in it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils.detect_face import (
    bbreg,
    generateBoundingBox,
    imresample,
    nms_numpy,
    rerec,
)
from torch.nn.functional import pad
from torchvision.ops import nms  # type: ignore[import-untyped]

_CELL: Final = 12
"""Side of the first network's window, in pixels."""


class Cascade:
    """Finds boxes and landmarks in a batch of images of one size.

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
        self._networks = MTCNN(device=device).eval()

    @torch.inference_mode()
    def search(self, images: np.ndarray, smallest: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Search images for faces of at least ``smallest`` pixels.

        Args:
            images: (N, H, W, 3) uint8.
            smallest: in pixels; nothing is found in images with a shorter side.

        Returns:
            For each image the boxes (n, 5) float32 x0, y0, x1, y1, probability, and the landmarks
            (n, 5, 2) float32 x, y, in pixels.
        """
        batch = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float().contiguous()
        proposals = self._propose(batch, smallest)
        return [self._refine(image, boxes) for image, boxes in zip(batch, proposals, strict=True)]

    def _propose(self, batch: torch.Tensor, smallest: int) -> list[torch.Tensor]:
        """First stage: square boxes (n, 5) for each image, found at every scale."""
        height, width = batch.shape[2:]
        proposals: list[list[torch.Tensor]] = [[] for _ in batch]
        scale = _CELL / smallest
        while min(height, width) * scale >= _CELL:
            size = int(height * scale + 1), int(width * scale + 1)
            regression, probability = self._networks.pnet(_normalised(imresample(batch, size)))
            boxes, owner = generateBoundingBox(
                regression, probability[:, 1], scale, self.thresholds[0]
            )
            for position, mine in enumerate(proposals):
                own = boxes[owner == position]
                mine.append(own[nms(own[:, :4], own[:, 4], 0.5)])
            scale *= self.factor
        return [
            self._merged(torch.cat(mine)) if mine else batch.new_empty(0, 5) for mine in proposals
        ]

    @staticmethod
    def _merged(found: torch.Tensor) -> torch.Tensor:
        """Proposals (n, 9) of all scales, each moved by its regression, as squares (m, 5)."""
        found = found[nms(found[:, :4], found[:, 4], 0.7)]
        sides = (found[:, 2:4] - found[:, :2]).repeat(1, 2)
        moved = found[:, :4] + found[:, 5:9] * sides
        return rerec(torch.cat([moved, found[:, 4:5]], dim=1))

    def _refine(self, image: torch.Tensor, boxes: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Second and third stage on the proposals (n, 5) of one image (3, H, W)."""
        boxes, patches = _cut(image, boxes, 24)
        if len(boxes):
            moves, probability = self._networks.rnet(patches)
            keep = probability[:, 1] > self.thresholds[1]
            boxes = torch.cat([boxes[keep, :4], probability[keep, 1:]], dim=1)
            moves = moves[keep]
            keep = nms(boxes[:, :4], boxes[:, 4], 0.7)
            boxes = rerec(bbreg(boxes[keep], moves[keep]))
        boxes, patches = _cut(image, boxes, 48)
        if not len(boxes):
            return np.empty((0, 5), np.float32), np.empty((0, 5, 2), np.float32)
        moves, points, probability = self._networks.onet(patches)
        keep = probability[:, 1] > self.thresholds[2]
        boxes = torch.cat([boxes[keep, :4], probability[keep, 1:]], dim=1)
        # The points lie in the box as shares of its sides: all x, then all y.
        sides = boxes[:, 2:4] - boxes[:, :2] + 1
        landmarks = points[keep].reshape(-1, 2, 5).transpose(1, 2)
        landmarks = landmarks * sides[:, None] + boxes[:, None, :2] - 1
        found = bbreg(boxes, moves[keep]).cpu().numpy()
        kept = nms_numpy(found[:, :4], found[:, 4], 0.7, "Min").astype(np.int64).reshape(-1)
        return found[kept], landmarks.cpu().numpy()[kept]


def _normalised(pixels: torch.Tensor) -> torch.Tensor:
    # Channels last: on a CPU the pooling of these small networks takes a fraction of the time.
    return ((pixels - 127.5) / 128).contiguous(memory_format=torch.channels_last)


def _cut(image: torch.Tensor, boxes: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The patches (m, 3, size, size) of an image (3, H, W), black outside it, and their boxes.

    Boxes count pixels from 1, both ends included, as the networks' authors' program did. Those
    without a pixel in the image, or more than twice its size, cannot be faces and are left out.
    """
    height, width = image.shape[1:]
    kept, patches = [], []
    for position, (x0, y0, x1, y1) in enumerate(boxes[:, :4].trunc().int().tolist()):
        left, top, right, bottom = max(x0, 1), max(y0, 1), min(x1, width), min(y1, height)
        too_large = max(x1 - x0, y1 - y0) > 2 * max(height, width)
        if left > right or top > bottom or too_large:
            continue
        patch = image[:, top - 1 : bottom, left - 1 : right]
        patch = pad(patch, (left - x0, x1 - right, top - y0, y1 - bottom))
        kept.append(position)
        patches.append(imresample(patch[None], (size, size)))
    if not kept:
        return boxes[:0], image.new_empty(0, 3, size, size)
    return boxes[kept], _normalised(torch.cat(patches))
