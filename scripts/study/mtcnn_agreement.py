"""Whether MTCNN on OpenVINO finds the faces that it and facenet-pytorch find on PyTorch.

Photographs are random samples of those below each folder, and group photos composed from those of
the first (`scripts.lib.group_photos`). All look for faces from 5% of the short side and 20 pixels,
without a second look. A face is found again where another's box and landmarks all lie within half a
pixel; 'besides' are those of OpenVINO that are not found again.

facenet-pytorch stretches candidates that reach beyond the photograph, where MFR pads them with
black as the paper's program does (`mfr.faces.mtcnn.cascade`). It is compared as it is, and on
photographs with a black border of half their short side, beyond which hardly any candidate reaches.

    python -m scripts.study.mtcnn_agreement PHOTOS...
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN

from mfr.faces.detector import MIN_FACE_FRACTION
from mfr.faces.mtcnn.cascade import Cascade
from mfr.faces.mtcnn.detector import MIN_FACE
from mfr.faces.mtcnn.packed_cascade import PackedCascade
from mfr.images import read_image
from scripts.lib.group_photos import write_groups

_SETTINGS: Final = ((0.6, 0.7, 0.7), 0.709)
_NEAR: Final = 0.5

Found = tuple[np.ndarray, np.ndarray]
"""Boxes (n, 4 or more) and landmarks (n, 5, 2)."""


def facenet_pytorch(image: np.ndarray, smallest: int) -> Found:
    """What facenet-pytorch finds."""
    boxes, _, points = MTCNN(keep_all=True, min_face_size=smallest).detect(image, landmarks=True)
    if boxes is None:
        return np.empty((0, 4)), np.empty((0, 5, 2))
    return boxes.astype(float), points.astype(float)


def distances(one: Found, other: Found) -> np.ndarray:
    """(n,) for each face of ``one`` the distance to the nearest of ``other``, in pixels."""
    found = np.full(len(one[0]), np.inf)
    for box, points in zip(*other, strict=True):
        apart = np.maximum(
            np.abs(one[0][:, :4] - box[:4]).max(axis=1), np.abs(one[1] - points).max(axis=(1, 2))
        )
        found = np.minimum(found, apart)
    return found


def compare(kind: str, paths: Sequence[Path]) -> None:
    """Print the rows of one kind of photographs."""
    cascade, packed = Cascade(torch.device("cpu"), *_SETTINGS), PackedCascade(*_SETTINGS)

    def on_pytorch(image: np.ndarray, smallest: int) -> Found:
        return cascade.search([image], [smallest])[0]

    peers: dict[str, tuple[Callable[[np.ndarray, int], Found], bool]] = {
        "MFR on PyTorch": (on_pytorch, False),
        "facenet-pytorch, with a border": (facenet_pytorch, True),
        "facenet-pytorch": (facenet_pytorch, False),
    }
    for name, (search, bordered) in peers.items():
        apart, besides = [], 0
        for path in paths:
            image = read_image(path)
            smallest = max(MIN_FACE, round(MIN_FACE_FRACTION * min(image.shape[:2])))
            if bordered:
                padding = (min(image.shape[:2]) // 2,) * 4
                image = np.asarray(cv2.copyMakeBorder(image, *padding, cv2.BORDER_CONSTANT))
            theirs, ours = search(image, smallest), packed.search([image], [smallest])[0]
            apart.append(distances(theirs, ours))
            besides += int((distances(ours, theirs) >= _NEAR).sum())
        together = np.concatenate(apart)
        near = together[together < _NEAR]
        print(
            f"| {kind} | {len(paths)} | {name} | {len(together)} "
            f"| {100 * len(near) / max(1, len(together)):.2f} | {besides} "
            f"| {near.max(initial=0):.5f} |",
            flush=True,
        )


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path, help="folders of photographs")
    parser.add_argument("--images", type=int, default=300, help="of each folder")
    parser.add_argument("--groups", type=int, default=44)
    options = parser.parse_args()
    print("| photographs | | faces of | faces | found again, % | besides | furthest, pixels |")
    print("|---|---|---|---|---|---|---|")
    samples = []
    for folder in options.photos:
        paths = sorted(folder.rglob("*.jpg"))
        samples.append(random.Random(0).sample(paths, min(len(paths), options.images)))
        compare(folder.name, samples[-1])
    with tempfile.TemporaryDirectory() as scratch:
        compare("groups", write_groups(samples[0], options.groups, 0, Path(scratch)))


if __name__ == "__main__":
    main()
