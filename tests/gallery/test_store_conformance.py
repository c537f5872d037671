"""What `mfr.gallery.store.Store` asks of a store, asked of every kind."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfr.errors import ForeignModelError, GalleryError, NotEnrolledError
from mfr.gallery import Gallery, ModelSource, NewTemplate
from mfr.gallery.records import Changes, EnrolledVectors
from mfr.gallery.store import STORES, Store
from tests.gallery.stores_under_test import MODEL_HASH, PLACES, SIZE, Place


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return PLACES[request.param](tmp_path)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    made = place.create()
    yield made
    made.close()


def template(*vector: float, photo: str = "") -> NewTemplate:
    unit = np.array(vector, dtype=np.float64)
    unit /= np.linalg.norm(unit)
    return NewTemplate(unit.astype(np.float32), photo or repr(vector), "a.jpg", {"blur": 2.5}, "d")


def contents(templates: EnrolledVectors) -> dict[int, tuple[str, tuple[float, ...]]]:
    """By id: the owner and the embedding."""
    assert templates.ids.dtype == np.int64 and templates.embeddings.dtype == np.float32
    assert templates.embeddings.shape == (len(templates), SIZE)
    assert len(templates.owners) == len(templates) and (np.diff(templates.ids) > 0).all()
    return {
        int(number): (owner, tuple(embedding.tolist()))
        for number, owner, embedding in zip(
            templates.ids, templates.owners, templates.embeddings, strict=True
        )
    }


def after(before: dict, changes: Changes) -> dict:
    """A copy that follows; what it is told to drop, it has, and what it is told to add, not."""
    removed, added = changes.removed.tolist(), contents(changes.added)
    assert changes.removed.dtype == np.int64
    assert set(removed) <= set(before) and not set(added) & set(before)
    return {number: row for number, row in before.items() if number not in removed} | added


def test_every_kind_of_store_is_tested() -> None:
    assert set(STORES.names()) <= set(PLACES)


def test_a_new_store_is_empty(store: Store) -> None:
    assert (store.model_hash, store.embedding_size) == (MODEL_HASH, SIZE)
    assert store.identities() == [] and contents(store.snapshot().templates) == {}
    assert store.snapshot().stamp == store.stamp
    changes = store.changes(store.stamp)
    assert changes is not None and changes.stamp == store.stamp
    assert after({}, changes) == {}
    store.check_integrity()


def test_what_is_added_is_there_for_others(store: Store, place: Place) -> None:
    first, second = store.add("ada", [template(1, 0, 0), template(0, 1, 0)])
    (third,) = store.add("bob", [template(0, 3, 4)])
    assert first is not None and second is not None and third is not None
    assert first < second < third
    for reader in (store, place.open()):
        shown = reader.templates("ada")
        assert [each.id for each in shown] == [first, second]
        assert shown[0].source == "a.jpg" and shown[0].photo_sha256 == "(1, 0, 0)"
        assert (shown[0].quality, shown[0].detector) == ({"blur": 2.5}, "d")
        np.testing.assert_array_equal(reader.embeddings("ada"), [[1, 0, 0], [0, 1, 0]])
        np.testing.assert_allclose(reader.embeddings("bob"), [[0, 0.6, 0.8]], atol=1e-7)
        summaries = [(each.identity, each.templates) for each in reader.identities()]
        assert summaries == [("ada", 2), ("bob", 1)]
        assert contents(reader.snapshot().templates) == {
            first: ("ada", (1, 0, 0)),
            second: ("ada", (0, 1, 0)),
            third: ("bob", tuple(np.float32([0, 0.6, 0.8]).tolist())),
        }
        assert reader.stamp == store.stamp


def test_a_photo_is_kept_once_for_an_identity(store: Store) -> None:
    store.add("ada", [template(1, 0, 0, photo="x")])
    ids = store.add("ada", [template(0, 1, 0, photo="x"), *[template(0, 1, 0, photo="y")] * 2])
    assert ids[0] is None and ids[1] is not None and ids[2] is None
    assert store.add("bob", [template(1, 0, 0, photo="x")])[0] is not None
    np.testing.assert_array_equal(store.embeddings("ada"), [[1, 0, 0], [0, 1, 0]])


def test_many_people_are_added_at_once_or_not_at_all(store: Store) -> None:
    people = [(f"p{number}", [template(1, number, 0)]) for number in range(30)]
    assert store.add_many(people) == 30
    assert store.add_many([*people, ("p1", [template(1, 99, 0)])]) == 1
    before = contents(store.snapshot().templates)
    with pytest.raises(GalleryError):
        store.add_many([("eve", [template(1, 1, 1)]), ("mal", [NewTemplate(np.ones(3), "z")])])
    assert contents(store.snapshot().templates) == before
    assert len(store.identities()) == 30


def test_nobody_is_made_by_adding_nothing(store: Store) -> None:
    assert store.add("ada", []) == []
    assert store.add_many([("bob", [])]) == 0
    assert store.identities() == []
    with pytest.raises(NotEnrolledError):
        store.embeddings("ada")


@pytest.mark.parametrize(
    ("embedding", "error"),
    [
        ([1, 0], ForeignModelError),
        ([1, 0, 0, 0], ForeignModelError),
        ([1, 1, 0], GalleryError),
        ([0, 0, 0], GalleryError),
        ([np.nan, 0, 0], GalleryError),
        ([np.inf, 0, 0], GalleryError),
    ],
)
def test_embeddings_that_would_spoil_searches_are_refused(
    store: Store, embedding: list[float], error: type[GalleryError]
) -> None:
    spoilt = NewTemplate(np.array(embedding, np.float32), "z")
    with pytest.raises(error):
        store.add("ada", [template(1, 0, 0), spoilt])
    assert store.identities() == []


def test_whole_templates_can_be_stored_again_as_they_are(place: Place, store: Store) -> None:
    first = replace(template(3, 4, 0), crop=b"a crop", enrolled="2025-01-02T03:04:05+00:00")
    store.add("ada", [first, template(0, 1, 0)])
    store.add("bob", [template(1, 0, 0)])
    one, two = store.whole_templates("ada")
    assert (one.photo_sha256, one.source, one.detector) == (first.photo_sha256, "a.jpg", "d")
    assert (one.enrolled, one.crop, one.quality) == (first.enrolled, b"a crop", {"blur": 2.5})
    assert one.embedding.tolist() == first.embedding.tolist()
    assert two.crop == b"" and two.enrolled.endswith("+00:00")
    assert [each.crop for each in store.templates("ada")] == ["kept", "none"]
    store.remove("ada")
    store.add("ada", [one, two])
    assert [each.enrolled for each in store.templates("ada")] == [one.enrolled, two.enrolled]
    with pytest.raises(NotEnrolledError):
        store.whole_templates("eve")


def test_removal(store: Store) -> None:
    first, second = store.add("ada", [template(1, 0, 0), template(0, 1, 0)])
    (other,) = store.add("bob", [template(0, 0, 1)])
    for name, number in (("eve", None), ("eve", first), ("ada", other), ("ada", 99)):
        with pytest.raises(NotEnrolledError, match=name):
            store.remove(name, number)
    assert store.remove("ada", second) == 1
    assert [each.id for each in store.templates("ada")] == [first]
    assert store.remove("ada", first) == 1  # the last one takes the identity along
    for method in (store.templates, store.embeddings, store.remove):
        with pytest.raises(NotEnrolledError, match="ada"):
            method("ada")
    (again,) = store.add("ada", [template(1, 0, 0)])
    assert again is not None and other is not None and again > other
    assert store.remove("ada") == 1 and store.remove("bob") == 1
    assert store.identities() == []
    (last,) = store.add("ada", [template(1, 0, 0)])
    assert last is not None and last > again  # an id is never given twice


def test_the_model_source_is_remembered_and_changes_no_template(store: Store, place: Place) -> None:
    assert store.model_source() is None
    stamp = store.stamp
    store.remember_model(ModelSource("/a"))
    store.remember_model(ModelSource("/b", "facenet"))
    assert place.open().model_source() == ModelSource("/b", "facenet")
    assert store.stamp == stamp


def test_notes_are_kept_and_change_no_template(store: Store, place: Place) -> None:
    stamp = store.stamp
    assert store.note("a") is None
    store.put_note("a", "one")
    store.put_note("stamp", "another")
    store.put_note("a", "two\nlines")
    other = place.open()
    assert (other.note("a"), other.note("b"), other.note("stamp")) == (
        "two\nlines",
        None,
        "another",
    )
    assert store.stamp == stamp
    other.close()


def test_a_store_tells_whether_a_copy_holds_what_was_removed(store: Store) -> None:
    empty = store.stamp
    store.add("ada", [template(1, 0, 0)])
    one = store.stamp
    store.add("bob", [template(0, 1, 0)])
    assert not any(store.has_removed(since) for since in (empty, one, store.stamp))
    store.remove("ada")
    assert [store.has_removed(since) for since in (empty, one, store.stamp)] == [False, True, False]
    assert store.has_removed("1-0123456789abcdef")  # nobody knows what that one holds


def test_changes_lead_from_any_state_to_the_present(store: Store, place: Place) -> None:
    states = [store.snapshot()]

    def note() -> None:
        states.append(store.snapshot())

    store.add("ada", [template(1, 0, 0), template(0, 1, 0)])
    note()
    other = place.open()
    (passing,) = other.add("bob", [template(0, 0, 1)])
    other.remove("bob", passing)  # came and went: in no difference
    note()
    store.remove("ada", store.templates("ada")[0].id)
    note()
    store.add("ada", [template(1, 0, 0)])
    note()
    assert len({state.stamp for state in states}) == len(states)
    for reader in (store, other, place.open()):
        present = reader.snapshot()
        for state in states:
            changes = reader.changes(state.stamp)
            assert changes is not None and changes.stamp == present.stamp
            assert after(contents(state.templates), changes) == contents(present.templates)
    changes = store.changes(states[0].stamp)
    assert changes is not None and passing not in changes.added.ids and not len(changes.removed)


@pytest.mark.parametrize("stamp", ["", "x", "-", "1", "1-", "1-0123456789abcdef", "9" * 40, "²-a"])
def test_an_unknown_stamp_is_not_answered(store: Store, stamp: str) -> None:
    store.add("ada", [template(1, 0, 0)])
    store.add("ada", [template(0, 1, 0)])
    assert store.changes(stamp) is None


def test_a_state_that_a_restored_backup_never_had_is_unknown(place: Place) -> None:
    store = place.create()
    store.add("ada", [template(1, 0, 0)])
    early = store.snapshot()
    store.close()
    place.back_up()
    lost = place.open()
    lost.add("carl", [template(0, 1, 0)])
    lost_stamps = [lost.stamp]
    lost.remove("ada")
    lost_stamps.append(lost.stamp)
    lost.close()
    place.restore()
    for step in range(3):  # as many changes as were lost, then more
        restored = place.open()
        assert [restored.changes(stamp) for stamp in lost_stamps] == [None, None]
        changes = restored.changes(early.stamp)
        assert changes is not None
        present = contents(restored.snapshot().templates)
        assert after(contents(early.templates), changes) == present
        restored.add("dora", [template(0, step, 1)])
        restored.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLACES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_copy_that_follows_is_the_store(kind: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        place = PLACES[kind](Path(directory))
        stores = [place.create(), place.open()]
        copies = [stores[0].snapshot()] * 2
        held = [(copy.stamp, contents(copy.templates)) for copy in copies]
        for number in range(data.draw(st.integers(1, 25))):
            writer = stores[data.draw(st.integers(0, 1))]
            people = [each.identity for each in writer.identities()]
            action = data.draw(st.sampled_from(["add", "add", "many", "one", "all"]))
            if action == "many":
                writer.add_many((f"p{i}", [template(1, number, i)]) for i in range(4))
            elif action == "add" or not people:
                name = f"p{data.draw(st.integers(0, 4))}"
                writer.add(name, [template(1, number, 0), template(1, number, 1)])
            else:
                name = data.draw(st.sampled_from(people))
                chosen = data.draw(st.sampled_from(writer.templates(name)))
                writer.remove(name, chosen.id if action == "one" else None)
            if data.draw(st.booleans()):  # one of the copies catches up, seldom at each change
                which = data.draw(st.integers(0, 1))
                changes = stores[which].changes(held[which][0])
                assert changes is not None
                held[which] = (changes.stamp, after(held[which][1], changes))
                snapshot = stores[which].snapshot()
                assert held[which] == (snapshot.stamp, contents(snapshot.templates))
        for each in stores:
            each.close()


def test_threads_share_a_store(store: Store, place: Place) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(15):
                store.add(f"{name}{number}", [template(1, number, 1)])
                changes = store.changes(store.stamp)
                assert changes is not None
                if number % 3 == 0:
                    store.remove(f"{name}{number}")
                store.snapshot()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(place.open().identities()) == 30


def test_a_gallery_needs_no_directory(store: Store) -> None:
    with Gallery(store) as gallery:
        gallery.add("ada", [template(1, 0, 0)])
        assert gallery.search(np.array([1, 0, 0], np.float32))[0].identity == "ada"
        gallery.add("bob", [template(0, 1, 0)])
        gallery.remove("ada")
        assert [each.identity for each in gallery.search(np.float32([1, 0, 0]))] == ["bob"]
        assert gallery.rebuild() == 1


def test_the_owners_of_photos_are_found(store: Store) -> None:
    store.add("bob", [template(1, 0, 0, photo="p1"), template(0, 1, 0, photo="p2")])
    store.add("ada", [template(1, 0, 0, photo="p1")])
    assert store.owners_of_photos(["p1", "p2", "p3"]) == {"p1": ["ada", "bob"], "p2": ["bob"]}
    assert store.owners_of_photos([]) == {}
    store.remove("bob")
    assert store.owners_of_photos(["p1", "p2"]) == {"p1": ["ada"]}
