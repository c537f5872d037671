"""Bit rot: a damaged template is named, left out and removed; everybody else is found."""

from __future__ import annotations

import re
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mfr.errors import GalleryDamagedError, GalleryWarning, NotEnrolledError
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.checksums import checksum
from mfr.gallery.records import DamagedTemplate
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.gallery.store import create_store, open_store
from tests.gallery.fake_recogniser import FakeRecogniser, photo

_FLIPPED = np.array([0, np.nextafter(np.float32(1), np.float32(0)), 0], "<f4").tobytes()
_SWAP = (
    "WITH before AS MATERIALIZED (SELECT id, embedding FROM templates) "
    "UPDATE templates SET embedding = "
    "(SELECT embedding FROM before WHERE before.id = 3 - templates.id) WHERE id IN (1, 2)"
)


def _alter(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path / FILE_NAME)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def test_a_damaged_crop_is_named_and_not_used(tmp_path: Path) -> None:
    with closing(create_store(tmp_path / "g", model_hash="feed", embedding_size=3)) as store:
        for number, name in enumerate(("ada", "bob")):
            vector = np.array([1, 0, 0], np.float32)
            store.add(
                name, [NewTemplate(vector, f"photo{number}", crop=b"the crop of %d" % number)]
            )
    _alter(tmp_path / "g", "UPDATE crops SET crop = CAST('the crop of 1' AS BLOB)")
    with closing(open_store(tmp_path / "g")) as store:
        assert [store.templates(name)[0].crop for name in ("ada", "bob")] == ["damaged", "kept"]
        assert [store.whole_templates(name)[0].crop for name in ("ada", "bob")] == [
            *(b"", b"the crop of 1")
        ]
        with pytest.warns(GalleryWarning, match="crop that is kept of template 1 is damaged"):
            store.check_integrity()


# The gallery has template 1 of ada and templates 2 and 3 of bob.
@pytest.mark.parametrize(
    ("statement", "values", "damaged"),
    [
        ("UPDATE templates SET embedding = zeroblob(12) WHERE id = 2", (), {2}),
        ("UPDATE templates SET embedding = zeroblob(11) WHERE id = 2", (), {2}),
        ("UPDATE templates SET embedding = 'text' WHERE id = 2", (), {2}),
        ("UPDATE templates SET embedding = ? WHERE id = 2", (_FLIPPED,), {2}),
        (
            "UPDATE templates SET photo_sha256 = 'f' || substr(photo_sha256, 2) WHERE id = 2",
            (),
            {2},
        ),
        ("UPDATE templates SET checksum = zeroblob(32) WHERE id = 2", (), {2}),
        ("UPDATE templates SET checksum = zeroblob(31) WHERE id = 2", (), {2}),
        ("UPDATE templates SET id = 9 WHERE id = 2", (), {9}),
        (_SWAP, (), {1, 2}),
    ],
)
def test_a_damaged_template_is_named_and_left_out(
    gallery: Gallery, path: Path, statement: str, values: tuple, damaged: set[int]
) -> None:
    gallery.close()
    _alter(path, statement, *values)
    with Gallery.open(path, FakeRecogniser()) as opened:
        with pytest.warns(GalleryWarning) as warned:
            found = {
                match.identity: match.score
                for match in opened.identify(photo(0, 0.6, 0.8)).candidates
            }
        assert found["bob"] == pytest.approx(1.0)  # by template 3
        assert ("ada" in found) == (1 not in damaged)
        told = sorted(str(each.message) for each in warned)
        for sentence, number in zip(told, sorted(damaged), strict=True):
            assert re.match(f"Template {number} of '(ada|bob)' is damaged .* --template", sentence)
        shown = [each.id for name in ("ada", "bob") for each in opened.show(name) if each.damaged]
        assert set(shown) == damaged
        assert any("is damaged" in one for one in opened.verify("bob", photo(0, 3, 4)).warnings)
        for _ in range(2):
            with pytest.raises(GalleryDamagedError, match=rf"Template {min(damaged)} of"):
                opened.rebuild()
        for number in damaged:
            opened.remove("ada" if number == 1 else "bob", number)
        assert opened.rebuild() == 3 - len(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert opened.identify(photo(0, 0.6, 0.8)).candidates[0].identity == "bob"


def test_damage_is_told_by_every_process_until_it_is_removed(gallery: Gallery, path: Path) -> None:
    gallery.close()
    _alter(path, "UPDATE templates SET embedding = zeroblob(12) WHERE id = 2")
    for _ in range(2):  # the second reads the cache file that the first has written
        with Gallery.open(path, FakeRecogniser()) as opened:
            with pytest.warns(GalleryWarning, match="Template 2 of 'bob'"):
                opened.identify(photo(1, 0, 0))
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # not at every search
                opened.identify(photo(1, 0, 0))


def test_a_person_whose_templates_are_all_damaged(gallery: Gallery, path: Path) -> None:
    gallery.close()
    _alter(path, "UPDATE templates SET embedding = zeroblob(12) WHERE id = 1")
    with Gallery.open(path, FakeRecogniser()) as opened:
        with pytest.raises(GalleryDamagedError, match=r"All templates of 'ada'.*--template 1"):
            opened.verify("ada", photo(1, 0, 0))
        assert opened.remove("ada") == 1
        with pytest.raises(NotEnrolledError):
            opened.verify("ada", photo(1, 0, 0))


def test_a_damaged_name_is_shown_and_can_be_removed(gallery: Gallery, path: Path) -> None:
    gallery.close()
    _alter(path, "UPDATE identities SET name = CAST(x'e1646f' AS TEXT) WHERE name = 'ada'")
    with Gallery.open(path, FakeRecogniser()) as opened:
        assert [each.identity for each in opened.list()] == ["\\xe1do", "bob"]
        with pytest.warns(GalleryWarning, match="Template 1 of"):
            assert opened.identify(photo(1, 0, 0)).candidates[0].identity == "bob"
        assert opened.remove("\\xe1do") == 1
        assert opened.rebuild() == 2


def test_a_template_of_nobody(gallery: Gallery, path: Path) -> None:
    gallery.close()
    _alter(path, "UPDATE templates SET identity_id = 77 WHERE id = 2")
    with Gallery.open(path, FakeRecogniser()) as opened:
        with pytest.warns(GalleryWarning, match="belongs to nobody"):
            assert opened.identify(photo(0, 3, 4)).candidates[0].identity == "bob"
        with pytest.raises(GalleryDamagedError, match="backup"):
            opened.rebuild()


def test_damaged_quality_hides_nothing_else(gallery: Gallery, path: Path) -> None:
    _alter(path, "UPDATE templates SET quality = '{\"blur\": 1' WHERE id = 1")
    assert [(each.quality, each.damaged) for each in gallery.show("ada")] == [({}, False)]


def test_the_checksum_binds_what_it_should() -> None:
    whole = checksum(1, b"ada", b"ff", b"vector")
    others = [
        checksum(2, b"ada", b"ff", b"vector"),
        checksum(1, b"adb", b"ff", b"vector"),
        checksum(1, b"ada", b"fe", b"vector"),
        checksum(1, b"ada", b"ff", b"vectos"),
        checksum(1, b"adaf", b"f", b"vector"),
        checksum(1, b"ada", b"ffv", b"ector"),
        checksum(11, b"ada", b"ff", b"vector"),
    ]
    assert len({whole, *others}) == 8


def test_changes_leave_damaged_templates_out_too(gallery: Gallery, path: Path) -> None:
    store = open_store(path)
    stamp = store.stamp
    gallery.enroll("eve", [photo(0, 0, 1)], anyway=True)
    _alter(path, "UPDATE templates SET embedding = zeroblob(12) WHERE id = 4")
    changes = store.changes(stamp)
    assert changes is not None and len(changes.added) == 0
    assert changes.added.damaged == (DamagedTemplate(4, "eve"),)
    store.close()
