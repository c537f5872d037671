from __future__ import annotations

import numpy as np
import pytest

from mfr.simulation.raster import FINE, normals, rasterise, shrink


def flat(left: float, top: float, right: float, bottom: float, depth: float = 0.0) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(left, right, 5), np.linspace(top, bottom, 4))
    return np.stack([x, y, np.full_like(x, depth)], axis=-1)


def test_a_flat_sheet_shows_its_own_coordinates():
    column, row = rasterise(flat(20, 30, 60, 60))
    # The pixel x of the crop lies at FINE x + 1/2 in the fine crop; the sheet's middle is (40, 45).
    assert column[int(45 * FINE + 0.5), int(40 * FINE + 0.5)] == pytest.approx(2, abs=0.05)
    assert row[int(45 * FINE + 0.5), int(40 * FINE + 0.5)] == pytest.approx(1.5, abs=0.05)
    assert column[45 * FINE, 10 * FINE] == -1
    covered = shrink((row >= 0).astype(np.float32))
    assert covered.sum() == pytest.approx(40 * 30, rel=0.04)


def test_the_back_of_a_sheet_is_not_shown():
    assert (rasterise(flat(60, 30, 20, 60))[0] == -1).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_nearer_parts_hide_farther_ones(reverse):
    # The sheet has the form of an S: it runs right, folds back behind itself, and runs right again.
    x = np.array([20.0, 40, 60, 30, 70])
    depth = np.array([5.0, 5, 5, 0, -9])
    if reverse:
        depth = -depth
    sheet = np.stack(
        [np.tile(x, (3, 1)), np.tile([[10.0], [30], [50]], 5), np.tile(depth, (3, 1))], -1
    )
    column = rasterise(sheet)[0][30 * FINE, 45 * FINE]
    assert (column < 3) != reverse


def test_normals_point_at_the_viewer_and_to_the_side():
    outward, across, down = normals(flat(20, 30, 60, 60))
    np.testing.assert_allclose(outward, np.broadcast_to([0, 0, 1.0], outward.shape), atol=1e-9)
    np.testing.assert_allclose(across[0, 0], [1, 0, 0])
    np.testing.assert_allclose(down[0, 0], [0, 1, 0])
    leaning = flat(20, 30, 60, 60)
    leaning[..., 2] = -leaning[..., 0]  # its right side is farther away
    assert normals(leaning)[0][1, 1, 0] == pytest.approx(np.sqrt(0.5))
