"""Every face of a photo named, and nobody named twice."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from mfr.errors import ConfigError, FaceError
from mfr.gallery import Gallery
from mfr.gallery.group_photo import name_faces
from mfr.images import NamedBytes
from tests.gallery.fake_recogniser import FakeFace, FakeRecogniser, photo
from tests.gallery.test_judging import FINE


@dataclass(frozen=True)
class PlacedFace(FakeFace):
    box: np.ndarray = field(default_factory=lambda: np.zeros(4, np.float32))


@dataclass
class GroupRecogniser(FakeRecogniser):
    """Finds the same faces in any photo: the first is the rightmost."""

    faces: tuple[tuple[float, ...], ...] = ()

    def embed_faces(self, photo) -> list[PlacedFace]:
        return [
            PlacedFace(
                np.float32(vector) / np.linalg.norm(vector),
                "group",
                box=np.float32([100 - 10 * number, 1, 108 - 10 * number, 9.26]),
            )
            for number, vector in enumerate(self.faces)
        ]


@pytest.fixture
def gallery(tmp_path):
    """Of two people whose templates score 0.8 with one another."""
    with Gallery.create(tmp_path / "g", FakeRecogniser(calibration=FINE)) as made:
        made.enroll("ada", [photo(1, 0, 0)])
        made.enroll("bob", [photo(0.8, 0.6, 0)], anyway=True)
        yield made


def scoring(ada: float, bob: float) -> tuple[float, ...]:
    """A face that scores ``ada`` and ``bob`` with the two."""
    y = (bob - 0.8 * ada) / 0.6
    return ada, y, (1 - ada**2 - y**2) ** 0.5


def named(gallery: Gallery, *faces: tuple[float, ...], **options):
    """The answers for ``faces``, given from left to right."""
    recogniser = GroupRecogniser(calibration=FINE, faces=faces[::-1])
    return [each.found for each in name_faces(recogniser, gallery, b"", **options)]


def test_faces_come_from_left_to_right_with_their_boxes(gallery):
    recogniser = GroupRecogniser(calibration=FINE, faces=((0, 0, 1), (1, 0, 0)))
    left, right = name_faces(recogniser, gallery, b"")
    assert left.box == (90.0, 1.0, 98.0, 9.3) and right.box == (100.0, 1.0, 108.0, 9.3)
    assert (left.found.identity, right.found.outcome) == ("ada", "nobody")
    assert len(left.found.quality) == 1


def test_faces_that_agree_are_answered_as_single_photos_are(gallery):
    ada, bob, nobody = named(gallery, (1, 0, 0), (0.8, 0.6, 0), (0, 0, 1))
    for found, vector in ((ada, (1, 0, 0)), (bob, (0.8, 0.6, 0)), (nobody, (0, 0, 1))):
        alone = gallery.identify(photo(*vector))
        assert (found.identity, found.outcome) == (alone.identity, alone.outcome)
        assert found.candidates == alone.candidates and found.margin == alone.margin
        assert found.threshold == alone.threshold and found.fpir == alone.fpir


def test_the_better_of_two_faces_keeps_the_name_and_the_other_gets_the_next(gallery):
    # Thresholds of two templates at 1%: 0.6 for a match, 0.5 for uncertainty.
    worse, better = named(gallery, scoring(0.9, 0.7), scoring(0.95, 0.7))
    assert better.identity == "ada" and better.candidates[0].score == pytest.approx(0.95)
    assert worse.identity == "bob" and worse.candidates[0].score == pytest.approx(0.7)
    assert [each.identity for each in worse.candidates] == ["bob"]
    assert worse.margin is None and "'ada' is given to another face" in worse.warnings[0]
    assert better.warnings == ("'bob' matches too: the two may be one person, or look alike.",)


def test_the_other_face_is_nobody_where_it_has_no_candidate_left(gallery):
    worse, better = named(gallery, scoring(0.65, 0.2), scoring(0.7, 0.2))
    assert (worse.outcome, worse.identity) == ("nobody", None)
    assert better.identity == "ada"
    other, unsure = named(gallery, scoring(0.95, 0.6), scoring(0.9, 0.55))
    assert other.identity == "ada"
    assert (unsure.outcome, unsure.candidates[0].identity) == ("uncertain", "bob")


def test_a_face_that_loses_may_take_its_next_from_a_worse_one(gallery):
    # The second loses ada to the first, and takes bob from the third, who is nobody then.
    found = named(gallery, scoring(0.95, 0.6), scoring(0.9, 0.8), scoring(0.4, 0.7))
    assert [each.identity for each in found] == ["ada", "bob", None]
    assert found[2].outcome == "nobody" and "'bob' is given to another face" in found[2].warnings[0]


def test_an_uncertain_answer_never_takes_a_name_nor_shares_one(gallery):
    sure, unsure = named(gallery, scoring(0.65, 0.1), scoring(0.55, 0.1))
    assert (sure.identity, unsure.outcome) == ("ada", "nobody")
    first, second = named(gallery, scoring(0.55, 0.1), scoring(0.52, 0.1))
    assert (first.outcome, second.outcome) == ("uncertain", "nobody")


def test_every_face_still_has_as_many_candidates_as_are_wanted(gallery):
    for number in range(4):
        vector = np.float32([0, 1, -0.1 * number])
        gallery.enroll(f"p{number}", [photo(*vector)], anyway=True)
    found = named(gallery, *[(1, 0, 0)] * 3, k=3)
    assert [len(each.candidates) for each in found] == [3, 3, 3]
    assert [each.identity for each in found] == ["ada", "bob", None]


def test_without_a_threshold_nobody_is_named(tmp_path):
    with Gallery.create(tmp_path / "h", FakeRecogniser(calibration=None)) as made:
        made.enroll("ada", [photo(1, 0, 0)])
        recogniser = GroupRecogniser(calibration=None, faces=((1, 0, 0), (1, 0, 0)))
        found = [each.found for each in name_faces(recogniser, made, b"")]
        assert [each.outcome for each in found] == [None, None]
        assert [each.candidates[0].identity for each in found] == ["ada", "ada"]
        given = name_faces(recogniser, made, b"", threshold=0.5)
        assert [each.found.identity for each in given] == ["ada", None]


def test_what_cannot_be_named_is_refused(gallery):
    with pytest.raises(FaceError, match="No face was found in the image"):
        named(gallery)
    with pytest.raises(FaceError, match=r"No face was found in hall\.jpg"):
        name_faces(GroupRecogniser(faces=()), gallery, NamedBytes(b"", "hall.jpg"))
    with pytest.raises(ConfigError, match="-k 1"):
        named(gallery, (1, 0, 0), k=0)
    with pytest.raises(ConfigError, match="choose one of 'toys'"):
        named(gallery, (1, 0, 0), condition="masks")
