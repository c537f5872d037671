"""Whom a model has seen: salted hashes that tell members from others, in few bytes."""

import base64
import hashlib

import pytest
from pydantic import ValidationError

from mfr.data.used import FILE_NAME, note_used, read_used
from mfr.errors import DataError, WriteError
from mfr.seen_people import SeenPeople


def test_members_are_known_by_role_and_others_are_not():
    seen = SeenPeople.nobody("a").adding("trained", ["ada", "bob", "ada"])
    seen = seen.adding("trained", ["eve"]).adding("validated", ["bob", "dan"])
    assert seen.known("trained", ["dan", "eve", "ada", "eve"]) == ["ada", "eve"]
    assert seen.known("calibrated", ["ada", "bob"]) == []
    overlap = seen.overlap(["bob", "ada", "dan", "zoe", "zoe"])
    assert (overlap.people, overlap.seen) == (4, 3)
    assert overlap.roles == {"trained": 2, "validated": 2}
    assert seen.overlap(["dan"], roles=["trained"]).seen == 0
    assert seen.replacing("trained", ["zoe"]).known("trained", ["ada", "zoe"]) == ["zoe"]


def test_a_hash_is_salted_blake2b_of_the_name():
    seen = SeenPeople.nobody("a").adding("trained", ["ada"])
    salt = hashlib.sha256(b"a").digest()[:16]
    digest = hashlib.blake2b(b"ada", digest_size=8, salt=salt, person=b"mfr-seen-people").digest()
    assert (base64.b64decode(seen.salt), base64.b64decode(seen.trained)) == (salt, digest)
    other = SeenPeople.nobody("b").adding("trained", ["ada"])
    assert other.trained != seen.trained
    assert "ada" not in seen.model_dump_json()


def test_neither_order_nor_repetition_changes_a_byte():
    first = SeenPeople.nobody("a").adding("trained", ["x", "y", "z"])
    second = SeenPeople.nobody("a").adding("trained", ["z", "x", "x"]).adding("trained", ["y"])
    assert first == second


def test_a_hundred_thousand_people_take_about_a_megabyte():
    people = [f"person {i}" for i in range(100_000)]
    seen = SeenPeople.nobody("a").adding("trained", people)
    assert 1_000_000 < len(seen.model_dump_json()) < 1_100_000
    assert seen.overlap([f"somebody {i}" for i in range(1000)] + people[:5]).seen == 5


@pytest.mark.parametrize(
    "wrong", [{"salt": "AAAA"}, {"trained": "AAAA"}, {"trained": "!"}, {"liked": ""}]
)
def test_damaged_records_are_refused(wrong):
    whole = SeenPeople.nobody("a").model_dump()
    with pytest.raises(ValidationError):
        SeenPeople.model_validate({**whole, **wrong})


def test_a_dataset_notes_who_was_used_and_only_adds(tmp_path):
    assert read_used(tmp_path) is None
    note_used(tmp_path, {"trained": ["ada"], "validated": ["bob"]})
    note_used(tmp_path, {"trained": ["eve"]})
    used = read_used(tmp_path)
    assert used is not None
    assert used.known("trained", ["ada", "bob", "eve"]) == ["ada", "eve"]
    assert used.known("validated", ["ada", "bob", "eve"]) == ["bob"]
    before = (tmp_path / FILE_NAME).stat().st_mtime_ns
    note_used(tmp_path, {"trained": ["ada", "eve"]})
    assert (tmp_path / FILE_NAME).stat().st_mtime_ns == before
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(DataError, match=r"used\.json is damaged"):
        note_used(tmp_path, {"trained": ["ada"]})


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / ".used.lock").symlink_to("elsewhere")  # root may write what is read-only
    with pytest.raises(WriteError):
        note_used(tmp_path, {"trained": ["ada"]})
    assert read_used(tmp_path) is None
