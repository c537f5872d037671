"""What a store is to keep of people and to log of what happens to them, asked of every kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mfr.errors import GalleryError, NotEnrolledError
from mfr.gallery import Gallery
from mfr.gallery.audit import BEGINNING, acting_as, first_broken, linked
from mfr.gallery.people import Details
from mfr.gallery.store import Store
from tests.gallery.stores_under_test import Place
from tests.gallery.test_store_conformance import place, store, template

__all__ = ["place", "store"]  # fixtures

ADA = Details("Ada L.", "7-11", {"desk": [1, {"floor": 2}]}, "2026, signed", frozenset({"staff"}))


def test_what_is_noted_of_a_person_is_kept(store: Store, place: Place) -> None:
    store.add("ada", [template(1, 0, 0)])
    store.add("bob", [template(0, 1, 0)])
    assert store.person("ada").details == Details()
    stamp = store.stamp
    store.describe("ada", ADA)
    changes = store.changes(stamp)
    assert changes is not None and len(changes.added) == len(changes.removed) == 0
    assert store.stamp != stamp  # so that searches of a group know
    other = place.open()
    ada = other.person("ada")
    assert (ada.identity, ada.details, ada.templates) == ("ada", ADA, 1)
    assert [each.identity for each in other.people()] == ["ada", "bob"]
    assert other.person_of("7-11") == ada and other.person_of("7") is None
    assert other.person_of("") is None
    assert (other.members("staff"), other.members("visitors")) == (["ada"], [])
    other.close()
    store.describe("ada", replace(ADA, external_id="", groups=frozenset({"visitors"})))
    assert store.person_of("7-11") is None
    assert (store.members("staff"), store.members("visitors")) == ([], ["ada"])


def test_details_go_with_their_person(store: Store) -> None:
    store.add("ada", [template(1, 0, 0)])
    store.describe("ada", ADA)
    number = store.person("ada").id
    store.remove("ada")
    assert store.members("staff") == [] and store.person_of("7-11") is None
    with pytest.raises(NotEnrolledError):
        store.describe("ada", ADA)
    store.add("bob", [template(0, 1, 0)])
    store.describe("bob", ADA)
    assert store.person("bob").id > number  # which stands in the audit log


def test_people_are_found_by_number_and_listed_in_its_order(store: Store) -> None:
    for name in ("eve", "ada", "bob"):
        store.add(name, [template(1, 0, 0)])
    store.describe("bob", ADA)
    eve, ada, bob = (store.person(name) for name in ("eve", "ada", "bob"))
    assert store.person_numbered(bob.id) == bob
    assert store.people_after(0, 2) == [eve, ada]
    assert store.people_after(ada.id, 5) == [bob] and store.people_after(bob.id, 5) == []
    store.remove("ada")
    assert store.people_after(0, 2) == [eve, bob]
    with pytest.raises(NotEnrolledError, match=str(ada.id)):
        store.person_numbered(ada.id)


def test_people_and_templates_are_counted(store: Store) -> None:
    assert store.counts() == (0, 0)
    store.add("ada", [template(1, 0, 0), template(0, 1, 0)])
    store.add("bob", [template(1, 0, 0)])
    assert store.counts() == (2, 3)
    store.remove("ada")
    assert store.counts() == (1, 1)


def test_an_external_id_is_one_persons(store: Store) -> None:
    store.add("ada", [template(1, 0, 0)])
    store.add("bob", [template(0, 1, 0)])
    store.describe("ada", ADA)
    with pytest.raises(GalleryError, match="'ada'"):
        store.describe("bob", replace(ADA, display_name="Bob"))
    assert store.person("bob").details == Details() and store.members("staff") == ["ada"]
    store.describe("ada", ADA)


def test_details_that_are_unfit_are_refused(store: Store) -> None:
    store.add("ada", [template(1, 0, 0)])
    for unfit in (
        Details("a\x00"),
        Details("a" * 257),
        Details(metadata={"a": float("nan")}),
        Details(metadata={"a": "b" * 16_384}),
        Details(metadata=["a"]),  # type: ignore[arg-type]
        Details(groups=frozenset({" "})),
        Details(external_id="\ud800"),
    ):
        with pytest.raises(GalleryError):
            store.describe("ada", unfit)
    assert store.person("ada").details == Details()


def test_changes_are_logged_without_names(store: Store, place: Place) -> None:
    with acting_as("carol"):
        store.add("ada", [template(1, 0, 0)])
        number = store.person("ada").id
        store.describe("ada", ADA)
        store.log("identified", person="ada", facts={"score": 0.5, "match": True})
        (stored,) = store.templates("ada")
        store.remove("ada")
    other = place.open()
    entries = other.audit()
    other.close()
    assert [(each.number, each.actor, each.event, each.person) for each in entries] == [
        (1, "carol", "enrolled", number),
        (2, "carol", "described", number),
        (3, "carol", "identified", number),
        (4, "carol", "removed", number),
    ]
    assert entries[2].facts == {"score": 0.5, "match": True}
    assert entries[3].facts == {"templates": [stored.id]}
    told = repr([(each.actor, each.event, each.facts) for each in entries])
    assert "ada" not in told and "7-11" not in told
    assert store.audit(after=2) == entries[2:]


@pytest.mark.parametrize("spoiled", [0, 1, 2])
def test_a_log_that_was_changed_is_found_out(store: Store, spoiled: int) -> None:
    for vector in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        store.add("ada", [template(*vector)])
    entries = store.audit()
    assert first_broken(entries, store.chain_key) is None
    changed = list(entries)
    changed[spoiled] = replace(entries[spoiled], actor="mallory")
    assert first_broken(changed, store.chain_key) == spoiled + 1
    del changed[spoiled]
    assert (first_broken(changed, store.chain_key) is None) == (spoiled == 2)  # the end cut off
    forged = replace(changed[0], link=linked(changed[0], BEGINNING, b""))
    if store.chain_key:
        assert first_broken([forged], store.chain_key) == 1


def test_a_search_is_limited_to_a_group(store: Store) -> None:
    for name, vector in (("ada", (1, 0, 0)), ("bob", (0.9, 0.1, 0)), ("eve", (0, 0, 1))):
        store.add(name, [template(*vector)])
    probe = np.array([1, 0, 0], np.float32)
    with Gallery(store) as gallery:
        gallery.people.change("bob", groups=frozenset({"staff", "night"}))
        gallery.people.change("eve", groups=frozenset({"staff"}))
        assert [each.identity for each in gallery.search(probe)] == ["ada", "bob", "eve"]
        found = gallery.search(probe, group="staff")
        assert [each.identity for each in found] == ["bob", "eve"]
        gallery.people.change("ada", groups=frozenset({"staff"}))
        assert gallery.search(probe, group="staff")[0].identity == "ada"
        gallery.remove("ada")
        assert gallery.search(probe, group="staff")[0].identity == "bob"
        with pytest.raises(NotEnrolledError, match="Nobody is in the group 'visitors'"):
            gallery.search(probe, group="visitors")
