import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mfr.benchmark import comparisons
from mfr.benchmark.comparisons import choose_gallery, compare_all, compare_with_gallery
from mfr.benchmark.metrics import Scores, auc
from mfr.errors import DataError


def unit(n, d=8, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_gallery_choice_ignores_row_order_and_follows_the_seed():
    identities = [f"p{i // 5}" for i in range(50)]
    paths = [f"{i}.jpg" for i in range(50)]
    chosen = choose_gallery(identities, paths, seed=0)
    assert chosen.sum() == 10
    assert {identities[i] for i in np.flatnonzero(chosen)} == set(identities)
    order = np.random.default_rng(1).permutation(50)
    shuffled = choose_gallery([identities[i] for i in order], [paths[i] for i in order], seed=0)
    assert (shuffled == chosen[order]).all()
    assert (choose_gallery(identities, paths, seed=1) != chosen).any()


def test_gallery_choice_is_the_same_on_every_machine():
    # SHA-256 of '0:a', '0:b' and '0:c' begin with 9d, e0 and be in hexadecimal.
    chosen = choose_gallery(["x"] * 3, ["a", "b", "c"], seed=0)
    assert chosen.tolist() == [True, False, False]


@pytest.mark.parametrize("rows", [1, 3, 256])
def test_gallery_comparisons_are_complete_and_mated_by_person(monkeypatch, rows):
    monkeypatch.setattr(comparisons, "_ROWS", rows)
    embeddings = unit(7)
    persons = np.array([0, 0, 0, 1, 1, 2, 0])  # row 6: person 0 under a second identity
    gallery = np.array([1, 0, 0, 1, 0, 1, 1], bool)
    compared = compare_with_gallery(embeddings, persons, gallery)
    mated = set(zip(compared.mated.first.tolist(), compared.mated.second.tolist(), strict=True))
    others = set(
        zip(compared.nonmated.first.tolist(), compared.nonmated.second.tolist(), strict=True)
    )
    assert mated == {(1, 0), (1, 6), (2, 0), (2, 6), (4, 3)}
    assert others == {(1, 3), (1, 5), (2, 3), (2, 5), (4, 0), (4, 5), (4, 6)}
    for part in (compared.mated, compared.nonmated):
        expected = (embeddings[part.first] * embeddings[part.second]).sum(axis=1)
        np.testing.assert_allclose(part.scores, expected, atol=1e-6)
    assert compared.probes.tolist() == [1, 2, 4]
    best = np.flatnonzero(gallery)[np.argmax(embeddings[[1, 2, 4]] @ embeddings[gallery].T, axis=1)]
    assert compared.rank_one.tolist() == (persons[best] == persons[[1, 2, 4]]).tolist()


@pytest.mark.parametrize("rows", [1, 4, 256])
def test_all_pairs_are_each_made_once(monkeypatch, rows):
    monkeypatch.setattr(comparisons, "_ROWS", rows)
    embeddings, persons = unit(9), np.array([0, 1, 0, 1, 2, 2, 2, 3, 0])
    compared = compare_all(embeddings, persons)
    i, j = np.triu_indices(9, 1)
    same = persons[i] == persons[j]
    for part, kind in ((compared.mated, same), (compared.nonmated, ~same)):
        found = set(zip(part.first.tolist(), part.second.tolist(), strict=True))
        assert found == set(zip(i[kind].tolist(), j[kind].tolist(), strict=True))
        assert len(part.scores) == kind.sum()
        expected = (embeddings[part.first] * embeddings[part.second]).sum(axis=1)
        np.testing.assert_allclose(part.scores, expected, atol=1e-6)
    exact = (embeddings[i] * embeddings[j]).sum(axis=1)
    ours = auc(Scores.of(compared.mated.scores, compared.nonmated.scores))
    assert ours == pytest.approx(roc_auc_score(same, exact))


def test_too_many_comparisons_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(comparisons, "MAX_COMPARISONS", 20)
    with pytest.raises(DataError, match="21 comparisons are more than the 20"):
        compare_all(unit(7), np.arange(7))
