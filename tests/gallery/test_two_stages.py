"""Search in two stages finds what comparing all finds, for everybody who is clearly the nearest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfr.errors import ConfigError, GalleryDamagedError
from mfr.gallery import Gallery
from mfr.gallery import index as index_module
from mfr.gallery.cache import read_cache, write_cache
from mfr.gallery.coding import Coding
from mfr.gallery.index import TemplateIndex
from mfr.gallery.methods import SearchMethod, has_two_stages, own_method, settle_method
from mfr.gallery.records import Changes, EnrolledVectors, Snapshot
from mfr.gallery.segment import Segment
from mfr.gallery.store import open_store
from tests.gallery.fake_recogniser import FakeRecogniser, photo

NOBODY = np.empty(0, np.int64)


def _unit(vectors: np.ndarray) -> np.ndarray:
    found: np.ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found.astype(np.float32)


def _crowd(rng: np.random.Generator, count: int, size: int = 32, first_id: int = 1):
    """So many people with one template each; all embeddings have a large part in common."""
    common = np.ones(size) / np.sqrt(size)
    vectors = _unit(_unit(rng.standard_normal((count, size))) + common)
    ids = np.arange(first_id, first_id + count, dtype=np.int64)
    return EnrolledVectors(ids, [f"p{number:05d}" for number in ids], vectors)


def _near(rng: np.random.Generator, vectors: np.ndarray) -> np.ndarray:
    return _unit(vectors + 0.03 * rng.standard_normal(vectors.shape))


def _by_brute_force(
    templates: EnrolledVectors, probe: np.ndarray, k: int, among: frozenset[str] | None = None
) -> list[tuple[str, float]]:
    best: dict[str, float] = {}
    scores = templates.embeddings.astype(np.float64) @ probe
    for owner, score in zip(templates.owners, scores.tolist(), strict=True):
        if among is None or owner in among:
            best[owner] = max(best.get(owner, -2.0), score)
    return sorted(best.items(), key=lambda each: (-round(each[1], 6), each[0]))[:k]


@pytest.fixture(autouse=True)
def small_segments() -> Iterator[None]:
    """Segments of 1024 templates, of which those of 128 have codes, and 16 likely ones of each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "SEGMENT_ROWS", 1024)
        patch.setattr(index_module, "_CODED", 128)
        patch.setattr(index_module, "_LIKELY", 16)
        yield


def _index(templates: EnrolledVectors) -> TemplateIndex:
    index = TemplateIndex.build(Snapshot("0", templates)).searched("two-stage")
    assert index.coding is not None
    return index


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_people_are_found_after_additions_and_removals(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    size = data.draw(st.sampled_from([20, 32, 160]))
    present = _crowd(rng, data.draw(st.integers(200, 2500)), size)
    index = _index(present)
    next_id = 10_000
    for step in range(1, 1 + data.draw(st.integers(1, 5))):
        added = _crowd(rng, data.draw(st.sampled_from([0, 1, 3, 400])), size, next_id)
        if len(added):  # a second template of somebody, equal to another's only one
            added.owners[0] = present.owners[0]
            added.embeddings[0] = present.embeddings[-1]
        next_id += len(added)
        share = data.draw(st.sampled_from([0, 0.02, 0.5]))
        removed = present.ids[rng.random(len(present)) < share]
        kept = np.flatnonzero(~np.isin(present.ids, removed))
        gone = np.flatnonzero(np.isin(present.ids, removed))[:5]
        probes = _near(rng, present.embeddings[gone])
        present = EnrolledVectors(
            np.concatenate([present.ids[kept], added.ids]),
            [present.owners[row] for row in kept] + added.owners,
            np.concatenate([present.embeddings[kept], added.embeddings]),
        )
        index = index.changed(Changes(str(step), added, removed))
        rows = rng.integers(len(present), size=5)
        probes = np.concatenate([probes, _near(rng, present.embeddings[rows])])
        for probe, found in zip(probes, index.best_identities(probes, 1), strict=True):
            ((name, score),) = found
            ((_, best),) = _by_brute_force(present, probe, 1)
            # Where nobody is clearly the nearest, as for the removed, another may be found.
            assert name in present.owners
            own = _by_brute_force(present, probe, 1, frozenset([name]))[0][1]
            assert score == pytest.approx(own, abs=1e-6)
            if best > 0.95:  # of templates that are equal but for rounding, either may be best
                assert score == pytest.approx(best, abs=1e-6)


def test_ties_beyond_the_likely_ones_are_ordered_by_name() -> None:
    rng = np.random.default_rng(0)
    crowd = _crowd(rng, 3000)
    twins = rng.choice(3000, 200, replace=False)
    crowd.embeddings[twins] = crowd.embeddings[twins[0]]
    probe = crowd.embeddings[twins[:1]]
    (found,) = _index(crowd).best_identities(probe, 3)
    assert [name for name, _ in found] == sorted(crowd.owners[row] for row in twins)[:3]


def test_a_person_with_many_templates_does_not_hide_others() -> None:
    rng = np.random.default_rng(1)
    crowd = _crowd(rng, 3000)
    crowd.embeddings[:300] = _near(rng, np.repeat(crowd.embeddings[:1], 300, axis=0))
    crowd.owners[:300] = ["many"] * 300
    crowd.embeddings[300] = _unit(crowd.embeddings[0] + 0.06 * rng.standard_normal(32))
    (found,) = _index(crowd).best_identities(crowd.embeddings[:1], 2)
    assert [name for name, _ in found] == ["many", crowd.owners[300]]


def test_the_removed_are_never_found_and_do_not_hide_others() -> None:
    rng = np.random.default_rng(2)
    crowd = _crowd(rng, 1000)
    crowd.embeddings[:200] = _near(rng, np.repeat(crowd.embeddings[:1], 200, axis=0))
    crowd.embeddings[200] = _unit(crowd.embeddings[0] + 0.06 * rng.standard_normal(32))
    index = _index(crowd).changed(Changes("1", _crowd(rng, 0), crowd.ids[:200]))
    (segment,) = index.segments
    assert segment.coding is not None and len(segment.owners) == 1000  # only masked
    (found,) = index.best_identities(crowd.embeddings[:1], 800)
    assert {name for name, _ in found} == set(crowd.owners[200:])
    (found,) = index.best_identities(crowd.embeddings[:1], 1)
    assert found[0][0] == crowd.owners[200]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0, 1, 5, 100, 1500]), st.integers(1, 9))
def test_search_among_some(seed: int, people: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    crowd = _crowd(rng, 2500)
    for row in range(0, 2500, 7):
        crowd.owners[row] = crowd.owners[row - 1]
    among = frozenset([*rng.choice(crowd.owners, people, replace=False).tolist(), "not enrolled"])
    exact = TemplateIndex.build(Snapshot("0", crowd))
    probes = _near(rng, crowd.embeddings[rng.integers(2500, size=3)])
    index = _index(crowd)
    for probe, all_found, likely in zip(
        probes,
        exact.best_identities(probes, k, among),
        index.best_identities(probes, k, among),
        strict=True,
    ):
        expected = _by_brute_force(crowd, probe, k, among)
        assert [name for name, _ in all_found] == [name for name, _ in expected]
        np.testing.assert_allclose([x for _, x in all_found], [x for _, x in expected], atol=1e-5)
        assert len(likely) == len(expected) and {name for name, _ in likely} <= among
        if expected and (people <= 100 or expected[0][1] > 0.95):
            assert likely[0][0] == expected[0][0]


def test_a_limit_follows_removals() -> None:
    crowd = _crowd(np.random.default_rng(3), 600)
    index, among = _index(crowd), frozenset(crowd.owners[:2])
    assert len(index.best_identities(crowd.embeddings[:1], 5, among)[0]) == 2
    index = index.changed(Changes("1", _crowd(np.random.default_rng(0), 0), crowd.ids[:1]))
    (found,) = index.best_identities(crowd.embeddings[:1], 5, among)
    assert [name for name, _ in found] == [crowd.owners[1]]


def test_a_batch_gives_what_single_searches_give() -> None:
    crowd = _crowd(np.random.default_rng(4), 2000)
    index, probes = _index(crowd), crowd.embeddings[:200]
    for row, found in enumerate(index.best_identities(probes, 1)):
        (alone,) = index.best_identities(probes[row : row + 1], 1)
        assert found[0][0] == alone[0][0] == crowd.owners[row]


def test_one_bit_codes_are_signs() -> None:
    vectors = _crowd(np.random.default_rng(5), 300, 160).embeddings
    coding = Coding.of(vectors)
    turned = (vectors - vectors.mean(axis=0)) @ coding.rotation
    signs = np.packbits(turned > 0, axis=1)  # the first number is the highest bit of its four
    low, high = signs >> 4, signs & 15
    np.testing.assert_array_equal(coding.codes(vectors), low | (high << 4))
    np.testing.assert_allclose(coding.rotation @ coding.rotation.T, np.eye(160), atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 100, 128, 129, 256])
def test_a_vector_is_near_its_own_code(size: int) -> None:
    vectors = _unit(np.random.default_rng(6).standard_normal((200, size)))
    coding = Coding.of(vectors)
    codes = coding.codes(vectors)
    assert codes.shape == (200, coding.width)
    likely = coding.scan(codes).likely(vectors, 60)
    same = vectors @ vectors.T >= 1 - 1e-6  # with one number there are only two directions
    share = np.mean([same[row, rows].any() for row, rows in enumerate(likely.tolist())])
    assert share == 1


def test_equal_vectors_can_be_coded() -> None:
    crowd = _crowd(np.random.default_rng(7), 400)
    crowd.embeddings[:] = crowd.embeddings[0]
    (found,) = _index(crowd).best_identities(crowd.embeddings[:1], 2)
    assert [name for name, _ in found] == crowd.owners[:2]


def test_codes_are_kept_in_the_cache_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = _crowd(np.random.default_rng(8), 1500)
    added = _crowd(np.random.default_rng(9), 3, 32, 5000)
    index = _index(crowd).changed(Changes("1", added, crowd.ids[:40]))
    write_cache(tmp_path / "index", index, "secret")
    monkeypatch.setattr(Coding, "codes", None)  # nothing is coded again
    read = read_cache(tmp_path / "index", "secret")
    assert read is not None
    read = read.searched("two-stage")
    probes = crowd.embeddings[40::10]
    assert read.best_identities(probes, 1) == index.best_identities(probes, 1)
    assert all(segment.coding is read.coding for segment in read.segments if len(segment) > 500)
    exact = read.searched("exact")
    assert exact.coding is None and all(each.alive_codes() is None for each in exact.segments)
    assert b"p00001" not in (tmp_path / "index").read_bytes()


def test_auto_changes_at_a_size_and_back_at_half_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfr.gallery.methods.TWO_STAGES_FROM", 1000)
    crowd = _crowd(np.random.default_rng(10), 999)
    index = TemplateIndex.build(Snapshot("0", crowd)).searched("auto")
    assert index.coding is None
    index = index.changed(Changes("1", _crowd(np.random.default_rng(0), 1, 32, 5000), NOBODY))
    assert index.coding is not None
    none = _crowd(np.random.default_rng(0), 0)
    index = index.changed(Changes("2", none, crowd.ids[:500]))
    assert index.coding is not None and len(index) == 500
    index = index.changed(Changes("3", none, crowd.ids[500:501]))
    assert index.coding is None
    assert has_two_stages("two-stage", 1, now=False) and not has_two_stages("exact", 9, now=True)


def test_a_gallery_keeps_how_it_is_searched(gallery: Gallery, path: Path) -> None:
    with contextlib.closing(open_store(path)) as store:
        assert own_method(store) == "auto"
        settle_method(store, "exact")
        assert own_method(store) == "exact"
        store.put_note("search", "magic")
        with pytest.raises(GalleryDamagedError, match="mfr gallery search GALLERY auto"):
            own_method(store)
    with Gallery.open(path, FakeRecogniser(), search="two-stage") as opened:
        assert opened.identify(photo(1, 0, 0)).candidates[0].identity == "ada"
    with pytest.raises(ConfigError, match="auto, exact, two-stage"):
        Gallery.open(path, search=cast(SearchMethod, "magic"))


def test_a_search_in_progress_does_not_see_a_change() -> None:
    crowd = _crowd(np.random.default_rng(11), 600)
    segment = Segment(crowd).coded(Coding.of(crowd.embeddings))
    without = segment.without(crowd.ids[:1])
    probe = crowd.embeddings[:1]
    assert segment.likely_nearest(probe, 1)[1].tolist() == [[0]]
    assert without.likely_nearest(probe, 1)[1].tolist() != [[0]]
