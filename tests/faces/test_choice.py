"""Which face of a photo is meant, worked out by hand."""

import dataclasses

import numpy as np
import pytest

from mfr.errors import FaceError
from mfr.faces import Face
from mfr.faces.choice import choose_faces, choose_one_face, is_doubtful, prominence

IMAGE = np.zeros((101, 201, 3), np.uint8)  # its centre is (100, 50)


def face(x, y, side):
    box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32)
    return Face(box, 0.99, np.zeros((5, 2), np.float32))


def test_the_main_face_is_large_and_near_the_centre():
    bystander, subject = face(30, 50, 60), face(105, 50, 40)
    assert prominence(bystander, IMAGE) == 60**2 - 2 * 70**2
    assert prominence(subject, IMAGE) == 40**2 - 2 * 5**2
    faces = [bystander, subject]
    assert choose_faces(faces, IMAGE, "main") == [subject]
    assert choose_faces(faces, IMAGE, "largest") == [bystander]
    assert choose_faces([], IMAGE, "main") == []
    # A tiny face in the very middle does not beat a large one beside it.
    assert choose_faces([face(80, 50, 60), face(100, 50, 10)], IMAGE, "main")[0].area == 3600


def test_two_faces_that_rank_alike_are_doubtful():
    assert is_doubtful([face(70, 50, 50), face(130, 50, 48)], IMAGE)
    assert not is_doubtful([face(100, 50, 50), face(160, 50, 48)], IMAGE)
    assert not is_doubtful([face(100, 50, 50)], IMAGE)
    assert not is_doubtful([], IMAGE)
    # Far from the centre both are worse than nothing: neither is meant.
    assert is_doubtful([face(20, 50, 20), face(180, 50, 20)], IMAGE)


def test_one_face_or_a_sentence():
    one, two = face(70, 50, 50), face(130, 50, 48)
    assert choose_one_face([one], IMAGE, "a.jpg", "only") == one
    with pytest.raises(FaceError, match=r"a\.jpg has 2 faces: .*--face main, largest or central"):
        choose_one_face([one, two], IMAGE, "a.jpg", "only")
    unsure = dataclasses.replace(two, probability=0.89)
    assert choose_one_face([unsure, one], IMAGE, "a.jpg", "only") == one
    with pytest.raises(FaceError, match="2 faces"):
        choose_one_face([unsure, unsure], IMAGE, "a.jpg", "only")
    with pytest.raises(FaceError, match=r"No face was found in a\.jpg"):
        choose_one_face([], IMAGE, "a.jpg", "main")
