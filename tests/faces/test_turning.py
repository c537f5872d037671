"""Turned photos: a detector that sees upright faces only finds them where they are."""

import numpy as np
import pytest

from mfr.faces import Face
from mfr.faces.align import align_face
from mfr.faces.turning import SURE, TurningDetector
from mfr.geometry import TEMPLATE


class UprightOnly:
    """Finds a face where the landmarks' pixels have the values 1 to 5 and the mouth is below."""

    name = "upright"

    def __init__(self, probability=0.99, elsewhere=None):
        self.probability, self.elsewhere, self.seen = probability, elsewhere, 0

    def detect(self, images):
        self.seen += len(images)
        return [self._faces(image) for image in images]

    def _faces(self, image):
        five = np.array([np.argwhere(image[..., 0] == i)[0][::-1] for i in range(1, 6)], np.float32)
        box = np.concatenate([five.min(0), five.max(0)])
        if five[0, 1] < five[3, 1] and five[0, 0] < five[1, 0]:
            return [Face(box, self.probability, five)]
        return [] if self.elsewhere is None else [Face(box, self.elsewhere, five)]


def scene():
    image = np.zeros((140, 160, 3), np.uint8)
    for i, (x, y) in enumerate(np.rint(TEMPLATE).astype(int), start=1):
        image[y + 10, x + 30] = i
    return image


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turned_face_is_found_in_the_pixels_of_its_photo(quarters):
    turned = np.ascontiguousarray(np.rot90(scene(), quarters))
    ((found,),) = TurningDetector(UprightOnly()).detect([turned])
    for i, (x, y) in enumerate(found.landmarks.astype(int), start=1):
        assert turned[y, x, 0] == i
    corners = found.box.reshape(2, 2)
    np.testing.assert_array_equal(corners[0], found.landmarks.min(0))
    np.testing.assert_array_equal(corners[1], found.landmarks.max(0))
    # Turning clockwise by so many degrees undoes rot90, which turns anticlockwise.
    assert found.turn == 90 * quarters
    np.testing.assert_array_equal(
        align_face(turned, found.landmarks), align_face(scene(), landmarks_of(scene()))
    )


def landmarks_of(image):
    return np.array([np.argwhere(image[..., 0] == i)[0][::-1] for i in range(1, 6)], np.float32)


def test_a_sure_face_is_not_looked_for_again():
    inner = UprightOnly(probability=SURE)
    assert [len(faces) for faces in TurningDetector(inner).detect([scene()] * 3)] == [1, 1, 1]
    assert inner.seen == 3


def test_the_surer_of_two_turns_is_taken():
    turned = np.ascontiguousarray(np.rot90(scene()))
    ((found,),) = TurningDetector(UprightOnly(0.99, elsewhere=0.97)).detect([turned])
    assert (found.probability, found.turn) == (0.99, 90)
    # What is nowhere sure stays as it was found first.
    ((found,),) = TurningDetector(UprightOnly(0.9, elsewhere=0.5)).detect([turned])
    assert (found.probability, found.turn) == (0.5, 0)


def test_a_detector_says_itself_when_it_is_sure():
    inner = UprightOnly(0.93)
    inner.sure = 0.92
    turned = np.ascontiguousarray(np.rot90(scene()))
    found = TurningDetector(inner).detect([scene(), turned])
    assert [face.turn for (face,) in found] == [0, 90]
    assert inner.seen == 2 + 3  # the upright photo is searched once
