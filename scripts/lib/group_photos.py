"""Photographs of several people, composed from photographs of one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from mfr.images import read_image

WIDTH: Final = 640
HEIGHT: Final = 480
_CELL: Final = 160
_SIDES: Final = (100, 160)
_MARGIN: Final = 0.1


@dataclass(frozen=True)
class Placed:
    """One person of a group: the photograph, and the (2, 3) that maps its pixels to the group's."""

    photo: Path
    transform: np.ndarray


def compose(photos: Sequence[Path], people: int, rng: random.Random) -> np.ndarray:
    """A photo of ``people`` people: the first of what `compose_known` returns."""
    return compose_known(photos, people, rng)[0]


def compose_known(
    photos: Sequence[Path], people: int, rng: random.Random
) -> tuple[np.ndarray, list[Placed]]:
    """A photo of ``people`` people, at most 12, in the cells of a grid, and who stands where.

    It is (480, 640, 3) uint8 RGB.

    The background is one of ``photos``, blurred; of the others the middle is shown, in squares with
    sides between 100 and 160 pixels.
    """
    blurred = cv2.GaussianBlur(read_image(rng.choice(photos)), (0, 0), 20)
    group = cv2.resize(blurred, (WIDTH, HEIGHT))
    placed = []
    cells = [(x, y) for y in range(0, HEIGHT, _CELL) for x in range(0, WIDTH, _CELL)]
    for x, y in rng.sample(cells, people):
        path = rng.choice(photos)
        photo = read_image(path)
        top, left = (round(_MARGIN * side) for side in photo.shape[:2])
        side = rng.randint(*_SIDES)
        middle = photo[top : len(photo) - top, left : photo.shape[1] - left]
        group[y : y + side, x : x + side] = cv2.resize(
            middle, (side, side), interpolation=cv2.INTER_AREA
        )
        # Pixel i is centred on i, so what is resized is its edges, half a pixel before.
        scale = side / np.array(middle.shape[1::-1])
        shift = scale * (0.5 - np.array((left, top))) - 0.5 + (x, y)
        placed.append(Placed(path, np.column_stack([np.diag(scale), shift])))
    return np.asarray(group), placed


def write_groups(photos: Sequence[Path], count: int, seed: int, folder: Path) -> list[Path]:
    """Write ``count`` such photos of 2 to 12 people as JPEGs into ``folder``."""
    rng = random.Random(seed)
    paths = [folder / f"group{number:03}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        picture = compose(photos, 2 + number % 11, rng)
        cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return paths
