from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.lib.group_photos import compose, compose_known, write_groups


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """A black photo for the background, as it is drawn first, and white ones for the people."""
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path, grey in zip(paths, (0, 255), strict=True):
        Image.new("RGB", (250, 250), (grey,) * 3).save(path)
    return paths


class FirstIsBackground(random.Random):
    """Chooses the first photo once, then always the second."""

    chosen = 0

    def choice(self, photos):
        self.chosen += 1
        return photos[self.chosen > 1]


@pytest.mark.parametrize("people", [0, 1, 12])
def test_so_many_people_stand_in_cells_of_their_own(photos: list[Path], people: int) -> None:
    group = compose(photos, people, FirstIsBackground(0))
    assert group.shape == (480, 640, 3)
    cells = group.reshape(3, 160, 4, 160, 3).swapaxes(1, 2).reshape(12, -1)
    shown = (cells == 255).sum(1)
    assert (shown > 0).sum() == people
    assert ((group == 0) | (group == 255)).all()
    assert people == 0 or shown[shown > 0].min() >= 100 * 100 * 3


def test_one_seed_gives_the_same_files(photos: list[Path], tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written.append([p.read_bytes() for p in write_groups(photos, 3, 7, tmp_path / name)])
    assert written[0] == written[1] and len(set(written[0])) > 1
    assert np.asarray(Image.open(tmp_path / "a" / "group000.jpg")).shape == (480, 640, 3)


def test_a_point_of_a_photo_is_where_the_transform_says(tmp_path: Path) -> None:
    spot = np.zeros((250, 300, 3), np.uint8)
    spot[98:103, 178:183] = 255
    Image.fromarray(spot).save(tmp_path / "spot.png")
    Image.new("RGB", (250, 250)).save(tmp_path / "black.png")
    photos = [tmp_path / "black.png", tmp_path / "spot.png"]
    group, (placed,) = compose_known(photos, 1, FirstIsBackground(3))
    assert placed.photo == photos[1]
    rows, columns = np.indices(group.shape[:2])
    weight = group[..., 0] / group[..., 0].sum()
    centre = (columns * weight).sum(), (rows * weight).sum()
    assert placed.transform @ (180, 100, 1) == pytest.approx(centre, abs=0.1)
