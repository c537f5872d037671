from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import median_abs_deviation

from data_tools.checking.measuring import blockiness
from data_tools.checking.neighbours import linked, nearest
from data_tools.checking.robust import location_and_spread, robust_z
from mfr.faces.thumbnail import make_thumbnail


def test_robust_z_by_hand():
    # Median 3; below: 0, 1, 2 -> median 1 with the median itself; above: 0, 1, 97 -> 1.
    z = robust_z(np.array([1, 2, 3, 4, 100.0]))
    assert z == pytest.approx(np.array([-2, -1, 0, 1, 97]) / 1.4826)
    assert robust_z(np.array([5.0, 5, 5, 6])).tolist() == [0, 0, 0, np.inf]
    assert robust_z(np.array([5.0, 5, 5, 6]), least=0.5).tolist() == [0, 0, 0, 2]
    assert robust_z(np.array([])).tolist() == []


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.integers(-1000, 1000)))
def test_robust_z_keeps_order_and_turns_with_its_values(values):
    z = robust_z(values, 0.1)
    order = np.argsort(values)
    assert (np.diff(z[order]) >= 0).all()
    assert robust_z(-values, 0.1) == pytest.approx(-z)
    assert robust_z(3 * values + 7, 0.3) == pytest.approx(z)
    assert location_and_spread(values)[1] == pytest.approx(
        median_abs_deviation(values, scale="normal"), rel=1e-4
    )


def test_nearest_agrees_with_the_whole_matrix():
    generator = np.random.default_rng(0)
    queries = generator.normal(size=(2100, 5)).astype(np.float32)  # more than two blocks
    vectors = generator.normal(size=(40, 5)).astype(np.float32)
    scores, found = nearest(queries, vectors, 3)
    whole = queries @ vectors.T
    assert (found == np.argsort(-whole, axis=1)[:, :3]).all()
    assert scores == pytest.approx(np.take_along_axis(whole, found, 1), abs=1e-5)
    assert nearest(queries[:2], vectors[:2], 8)[1].shape == (2, 2)
    assert nearest(queries[:2], vectors[:0], 8)[1].shape == (2, 0)


def test_linked():
    assert sorted(linked([(5, 1), (1, 3), (2, 4)], 7)) == [[1, 3, 5], [2, 4]]
    assert linked([], 3) == []


def test_a_thumbnail_knows_its_picture_again():
    picture = np.random.default_rng(0).integers(0, 200, (16, 16, 3)).astype(np.uint8)
    picture = np.kron(picture, np.ones((7, 7, 1), np.uint8))
    thumbnail = make_thumbnail(picture)
    assert np.linalg.norm(thumbnail) == pytest.approx(1) and abs(thumbnail.sum()) < 1e-4
    brighter = make_thumbnail((picture * 1.2 + 10).astype(np.uint8))
    assert thumbnail @ brighter > 0.999
    mirrored = make_thumbnail(np.ascontiguousarray(picture[:, ::-1]))
    assert (thumbnail.reshape(16, 16)[:, ::-1].ravel() == mirrored).all()
    assert not make_thumbnail(np.full((112, 112, 3), 90, np.uint8)).any()


def test_blockiness_sees_the_grid_of_jpeg():
    smooth = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    blocks = np.kron(np.random.default_rng(0).integers(0, 255, (8, 8)), np.ones((8, 8)))
    colour = [np.repeat(grey.astype(np.uint8)[..., None], 3, 2) for grey in (smooth, blocks)]
    assert blockiness(colour[0]) == pytest.approx(0)
    assert blockiness(colour[1]) > 5
    assert blockiness(colour[0][:, :10]) == 0
