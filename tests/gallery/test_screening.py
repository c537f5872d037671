"""Enrolments that look like mistakes: doubted with a reason, and possible all the same."""

import math

import numpy as np
import pytest

from mfr.calibration import Calibration
from mfr.conditions import Basis
from mfr.errors import DoubtfulEnrolmentError, FaceError, GalleryMissingError, PoorFaceError
from mfr.gallery import Gallery
from mfr.gallery.screening import threshold_among
from tests.gallery.fake_recogniser import CALIBRATION, FakeRecogniser, photo


@pytest.fixture
def recogniser():
    return FakeRecogniser()


@pytest.fixture
def gallery(tmp_path, recogniser):
    with Gallery.create(tmp_path / "g", recogniser) as made:
        made.enroll("ada", [photo(1, 0, 0)])
        yield made


def test_a_photo_enrolled_under_another_name(gallery):
    with pytest.raises(DoubtfulEnrolmentError, match=r"already enrolled as 'ada'.*--anyway"):
        gallery.enroll("bob", [photo(1, 0, 0)])
    assert [one.identity for one in gallery.list()] == ["ada"]
    assert len(gallery.enroll("bob", [photo(1, 0, 0)], anyway=True).added) == 1


def test_the_same_photo_is_noticed_without_a_calibration(gallery):
    gallery.calibrate(None)
    with pytest.raises(DoubtfulEnrolmentError, match="already enrolled as 'ada'"):
        gallery.enroll("bob", [photo(1, 0, 0)])
    gallery.enroll("bob", [photo(1, 0, 0, note="another")])  # nothing says what 1.0 means


def test_a_person_enrolled_under_another_name(gallery):
    with pytest.raises(DoubtfulEnrolmentError, match=r"somebody who is already enrolled as 'ada'"):
        gallery.enroll("bob", [photo(1, 0.1, 0)])
    gallery.enroll("bob", [photo(0, 1, 0)])
    # Her own further photos are no reason, however near they are.
    gallery.enroll("ada", [photo(1, 0.1, 0)])


def test_a_photo_unlike_the_others_of_its_person(gallery):
    with pytest.raises(DoubtfulEnrolmentError, match=r"unlike the other photos of 'ada'"):
        gallery.enroll("ada", [photo(1, 0.2, 0), photo(0, 0, 1)])
    assert len(gallery.show("ada")) == 1
    # Among n others a stranger has n chances: 0.6 is enough beside one other, not beside six.
    slanted = photo(0.6, 0, 0.8)
    gallery.enroll("ada", [photo(1, 0, 0, note=str(n)) for n in range(5)])
    with pytest.raises(DoubtfulEnrolmentError, match=r"score 0\.600, threshold 0\.900"):
        gallery.enroll("ada", [slanted])
    gallery.remove("ada")
    gallery.enroll("ada", [photo(1, 0, 0), slanted])
    gallery.enroll("eve", [photo(0, 1, 0)])  # a first photo has nothing to be unlike


def test_photos_of_two_people_enrolled_at_once(tmp_path, recogniser, monkeypatch):
    from mfr.gallery import enrolling

    monkeypatch.setattr(enrolling.Recogniser, "load", lambda *_, **__: recogniser)
    both = [photo(1, 0, 0), photo(0, 1, 0)]
    with pytest.raises(DoubtfulEnrolmentError, match=r"unlike.*unlike"):
        enrolling.enroll_photos(tmp_path / "new", "ada", both, model="toy")
    with pytest.raises(GalleryMissingError):  # nothing was enrolled, so nothing was made
        Gallery.open(tmp_path / "new")


def test_poor_and_doubtful_faces_are_refused(gallery, recogniser):
    recogniser.poor = ("it is too small", "it is too dark")
    with pytest.raises(PoorFaceError, match=r"too small, and it is too dark; .*--any-quality"):
        gallery.enroll("bob", [photo(0, 1, 0)])
    gallery.enroll("bob", [photo(0, 1, 0)], any_quality=True)
    again = gallery.enroll("bob", [photo(0, 1, 0, note="again")], any_quality=True)
    assert again.remarks == (
        "The face in the image is poor: it is too small.",
        "The face in the image is poor: it is too dark.",
    )
    decision = gallery.verify("bob", photo(0, 1, 0))
    assert decision.match and len(decision.warnings) == 2
    recogniser.poor, recogniser.doubtful = (), True
    with pytest.raises(FaceError, match="It is not clear which face"):
        gallery.enroll("eve", [photo(0, 0, 1)], face="main")
    gallery.enroll("eve", [photo(0, 0, 1)], face="central")


def test_the_threshold_rises_with_the_gallery():
    assert threshold_among(Basis(CALIBRATION.measured), 1) == 0.9
    measured = Calibration(
        thresholds=[0.6, 0.5, 0.3],
        fmrs=[1e-4, 1e-3, 1e-1],
        comparisons=10**5,
        people=500,
        source="",
    )
    steep = Basis((measured,))
    assert threshold_among(steep, 0) == threshold_among(steep, 1) == 0.5
    assert threshold_among(steep, 10) == 0.6
    assert threshold_among(steep, 1000) == pytest.approx(0.8)  # two decades on, 0.1 a decade
    assert threshold_among(steep, 10**9) == 1
    assert math.isfinite(np.diff([threshold_among(steep, n) for n in (1, 10, 100, 1000)]).min())
