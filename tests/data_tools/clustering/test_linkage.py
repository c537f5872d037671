from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from data_tools.clustering import linkage
from data_tools.clustering.linkage import group_embeddings


def unit(*angles: float) -> np.ndarray:
    """Vectors of the plane at these angles, in degrees."""
    radians = np.deg2rad(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_the_mean_cosine_decides_and_not_the_nearest_pair():
    # cos 40 = 0.77, cos 80 = 0.17: the third is 40 degrees from one and 80 from the other.
    vectors = unit(0, 40, 80)
    mean = (np.cos(np.deg2rad(40)) + np.cos(np.deg2rad(80))) / 2
    assert group_embeddings(vectors, mean + 0.01).tolist() == [0, 0, 1]
    assert group_embeddings(vectors, mean - 0.01).tolist() == [0, 0, 0]
    assert group_embeddings(vectors, 0.7, "single").tolist() == [0, 0, 0]


def test_nobody_and_one_face():
    assert group_embeddings(np.empty((0, 2), np.float32), 0.5).tolist() == []
    assert group_embeddings(unit(0), 0.5).tolist() == [0]


def test_a_cut_that_is_just_reached_merges():
    assert group_embeddings(unit(0, 0, 90), 1.0).tolist() == [0, 0, 1]


@pytest.mark.parametrize("method", ["average", "complete", "single"])
@pytest.mark.parametrize("cut", [0.2, 0.5, 0.8])
def test_components_change_nothing_whatever_the_block(monkeypatch, method, cut):
    generator = np.random.default_rng(0)
    people = generator.normal(size=(12, 8))
    vectors = (people.repeat(5, axis=0) + 0.5 * generator.normal(size=(60, 8))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors[generator.permutation(60)]
    whole = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage=method, distance_threshold=1 - cut
    ).fit_predict(1 - vectors @ vectors.T)
    for block in (7, 1024):
        monkeypatch.setattr(linkage, "_BLOCK", block)
        found = group_embeddings(vectors, cut, method)
        assert adjusted_rand_score(whole, found) == 1
        firsts = np.unique(found, return_index=True)[1]
        assert (np.diff(firsts) > 0).all()  # numbered in the order of the first members
