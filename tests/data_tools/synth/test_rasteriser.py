from __future__ import annotations

import numpy as np
import pytest

from data_tools.synth import head
from data_tools.synth.rasteriser import rasterise


def rasterised_by_loops(grids, height, width):
    """Depth and surface of each pixel, one triangle and one pixel at a time."""
    depth = np.full((height, width), -np.inf)
    part = np.full((height, width), -1)
    for number, p in enumerate(grids):
        for i in range(p.shape[0] - 1):
            for j in range(p.shape[1] - 1):
                a, b, c, d = p[i, j], p[i + 1, j], p[i, j + 1], p[i + 1, j + 1]
                for corners in ((a, b, c), (d, c, b)):
                    matrix = np.array([[*q[:2], 1] for q in corners], float).T
                    if abs(np.linalg.det(matrix)) < 1e-6:
                        continue
                    for y in range(height):
                        for x in range(width):
                            weights = np.linalg.solve(matrix, [x, y, 1])
                            z = weights @ [q[2] for q in corners]
                            if weights.min() >= 0 and z > depth[y, x]:
                                depth[y, x], part[y, x] = z, number
    return depth, part


def random_grid(seed, rows=4, columns=4, size=18.0):
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns] * size / 3
    z = generator.normal(size=(rows, columns)) * 3
    points = np.stack([x, y, z], axis=-1) + generator.normal(size=(rows, columns, 3)) * 0.9
    return (points + 0.173).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_a_loop_over_triangles_and_pixels(seed):
    grids = [random_grid(seed), random_grid(seed + 100)]
    seen = rasterise(grids, 17, 19, two_sided=[True, True])
    depth, part = rasterised_by_loops(grids, 17, 19)
    assert np.array_equal(seen.part, part)
    assert np.allclose(seen.depth[part >= 0], depth[part >= 0], atol=1e-3)


def test_rows_and_columns_lead_back_to_the_pixel():
    grid = random_grid(3)
    seen = rasterise([grid], 17, 19, two_sided=[True])
    for y, x in np.argwhere(seen.part == 0):
        row, column = seen.row[y, x], seen.column[y, x]
        i, j = min(int(row), 2), min(int(column), 2)
        s, t = row - i, column - j
        a, b, c, d = grid[i, j], grid[i + 1, j], grid[i, j + 1], grid[i + 1, j + 1]
        if s + t <= 1:
            point = a + s * (b - a) + t * (c - a)
        else:
            point = d + (1 - s) * (c - d) + (1 - t) * (b - d)
        assert np.allclose(point[:2], (x, y), atol=1e-2)


def test_backs_are_hidden_unless_asked_for():
    grid = random_grid(5)[:, ::-1]
    assert (rasterise([grid], 17, 19, two_sided=[False]).part == -1).all()
    assert (rasterise([grid], 17, 19, two_sided=[True]).part == 0).any()
    assert (rasterise([grid[:, ::-1]], 17, 19, two_sided=[False]).part == 0).any()


def test_nothing_in_view_gives_an_empty_image():
    seen = rasterise([random_grid(1) + 1000], 17, 19, two_sided=[True])
    assert (seen.part == -1).all() and np.isneginf(seen.depth).all()


def test_normals_of_a_sphere_point_away_from_its_middle():
    grid = head.grid()
    polar = np.linspace(0.3, 2.8, head.ROWS)[:, None]
    x, z = np.sin(polar) * np.sin(grid.azimuth), np.sin(polar) * np.cos(grid.azimuth)
    sphere = np.stack([x, np.broadcast_to(np.cos(polar), x.shape), z], axis=-1).astype(np.float32)
    normal = head.normals(sphere)
    inner = slice(1, -1)
    cosine = (normal[inner, inner] * sphere[inner, inner]).sum(axis=-1)
    assert cosine.min() > 0.97
