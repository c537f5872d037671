"""Large indices: candidates by codes, exact scores, and whom an exact search finds."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mfr.errors import ConfigError
from mfr.gallery import Gallery, following
from mfr.gallery.codes import LEAST, Codebook
from mfr.gallery.following import IndexFollower
from mfr.gallery.index import TemplateIndex
from mfr.gallery.index_choice import VARIABLE
from mfr.gallery.records import Changes, EnrolledVectors, NewTemplate, Snapshot
from mfr.gallery.segment import CodedSegment
from tests.gallery.memory_store import MemoryStore, Shelf

COUNT, SIZE = 20_000, 32


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def templates() -> EnrolledVectors:
    """People on one side of the origin, as faces are; every third has two templates."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((COUNT, SIZE)) + 2
    owners = [f"p{number}" for number in range(COUNT)]
    again = np.arange(0, COUNT, 3)
    vectors = np.concatenate([centres, centres[again]])
    vectors = unit(vectors + 0.2 * random.standard_normal(vectors.shape))
    return EnrolledVectors(
        np.arange(len(vectors)), owners + [owners[number] for number in again], vectors
    )


@pytest.fixture(scope="module")
def exact(templates: EnrolledVectors) -> TemplateIndex:
    return TemplateIndex.build(Snapshot("0", templates))


@pytest.fixture(scope="module")
def coded(exact: TemplateIndex) -> TemplateIndex:
    return exact.coded()


@pytest.fixture(scope="module")
def probes(templates: EnrolledVectors) -> np.ndarray:
    """Photographs of two hundred people, and of a hundred strangers."""
    random = np.random.default_rng(1)
    mated = templates.embeddings[:200] + 0.02 * random.standard_normal((200, SIZE))
    return unit(np.concatenate([mated, random.standard_normal((100, SIZE)) + 2]))


def test_the_same_people_with_the_same_scores(
    exact: TemplateIndex, coded: TemplateIndex, probes: np.ndarray
) -> None:
    assert any(isinstance(segment, CodedSegment) for segment in coded.segments)
    expected, found = exact.best_identities(probes, 5), coded.best_identities(probes, 5)
    missed = 0
    for right, one in zip(expected, found, strict=True):
        assert one[0][0] == right[0][0]
        known = dict(right)
        missed += len(known.keys() - dict(one).keys())
        for name, score in one:
            assert score == pytest.approx(known.get(name, score), abs=1e-6)
    assert missed <= 0.01 * 5 * len(probes)


def test_a_batch_finds_what_single_probes_find(coded: TemplateIndex, probes: np.ndarray) -> None:
    alone = [coded.best_identities(probe[None], 3)[0] for probe in probes[:20]]
    for one, other in zip(alone, coded.best_identities(probes[:20], 3), strict=True):
        assert [name for name, _ in one] == [name for name, _ in other]
        np.testing.assert_allclose([s for _, s in one], [s for _, s in other], atol=1e-6)


def test_what_is_removed_is_not_found_and_what_is_added_is(
    coded: TemplateIndex, templates: EnrolledVectors, probes: np.ndarray
) -> None:
    gone = np.arange(0, 200)  # the first templates of the people whom the probes show
    new = EnrolledVectors(
        np.arange(10**6, 10**6 + LEAST),
        [f"n{number}" for number in range(LEAST)],
        unit(np.random.default_rng(2).standard_normal((LEAST, SIZE)) - 2),
    )
    later = coded.changed(Changes("1", new, gone))
    assert len(later) == len(templates) - 200 + LEAST and later.codebook is coded.codebook
    left = EnrolledVectors(
        np.delete(templates.ids, gone),
        templates.owners[200:],
        np.delete(templates.embeddings, gone, axis=0),
    )
    anew = TemplateIndex.build(Snapshot("1", left))
    for right, one in zip(
        anew.best_identities(probes, 2), later.best_identities(probes, 2), strict=True
    ):
        assert [name for name, _ in one] == [name for name, _ in right]
    for row in (0, LEAST - 1):
        assert later.best_identities(new.embeddings[row : row + 1], 1)[0][0][0] == f"n{row}"
    assert later.segments[0] is not coded.segments[0]  # nothing was changed in place
    assert coded.best_identities(probes[:1], 1)[0][0][0] == "p0"


@pytest.mark.parametrize("count", [3, 5_000, COUNT - 10])
@pytest.mark.parametrize("kind", ["exact", "coded"])
def test_a_search_among_some(
    kind: str, count: int, templates: EnrolledVectors, probes: np.ndarray, request
) -> None:
    index: TemplateIndex = request.getfixturevalue(kind)
    some = {f"p{number}" for number in range(100, 100 + count)} | {"nobody"}
    rows = [row for row, owner in enumerate(templates.owners) if owner in some]
    limited = index.only(some)
    assert len(limited) == len(rows)
    scores = templates.embeddings[rows] @ probes.T
    for place, found in enumerate(limited.best_identities(probes, 2)):
        best = templates.owners[rows[int(scores[:, place].argmax())]]
        assert found[0][0] == best and found[0][1] == pytest.approx(scores[:, place].max())
        assert {name for name, _ in found} <= some
    assert index.only({"nobody"}).best_identities(probes[:1], 2) == [[]]


def test_small_and_odd_indices_stay_exact(templates: EnrolledVectors) -> None:
    few = EnrolledVectors(templates.ids[:100], templates.owners[:100], templates.embeddings[:100])
    small = TemplateIndex.build(Snapshot("0", few))
    assert small.coded() is small
    assert not Codebook.suits(SIZE + 1) and Codebook.suits(SIZE)


@pytest.fixture
def filled(templates: EnrolledVectors) -> MemoryStore:
    store = MemoryStore(Shelf("feed", SIZE))
    for number in range(2 * LEAST):
        template = NewTemplate(templates.embeddings[number], f"{number:064x}")
        store.shelf.rows[number + 1] = templates.owners[number], template
        store.shelf.numbers[templates.owners[number]] = number + 1
    store.shelf.last_id = 2 * LEAST
    store._changed()
    return store


def test_an_index_is_coded_once_it_was_searched_often(
    filled: MemoryStore, probes: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(following, "CODED_FROM", LEAST)
    follower = IndexFollower(filled, None)
    assert follower.current(29).codebook is None
    assert follower.current(1).codebook is None  # coded in the background
    filled.add("new", [NewTemplate(unit(-np.ones((1, SIZE)))[0], "f" * 64)])
    deadline = time.monotonic() + 60
    while follower.current().codebook is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    index = follower.current()
    assert [name for name, _ in index.best_identities(probes[:1], 1)[0]] == ["p0"]
    assert index.best_identities(unit(-np.ones((1, SIZE))), 1)[0][0][0] == "new"
    follower.close()


def test_the_environment_chooses(filled: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "CODED_FROM", 0)
    monkeypatch.setenv(VARIABLE, "coded")
    assert IndexFollower(filled, None).current().codebook is not None
    monkeypatch.setenv(VARIABLE, "exact")
    assert IndexFollower(filled, None).current(1000).codebook is None
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(ConfigError, match="MFR_INDEX is 'fast': say auto, exact or coded"):
        IndexFollower(filled, None)
    with pytest.raises(ConfigError), Gallery(filled) as gallery:
        gallery.search(unit(np.ones((1, SIZE)))[0])
