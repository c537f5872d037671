from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfr.errors import FaceError
from mfr.faces import align_face
from mfr.geometry import TEMPLATE, similarity_transform


def applied(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The SVD form of Umeyama (1991), Eqs. 38-43, to compare with."""
    ms, mt = source.mean(0), target.mean(0)
    covariance = (target - mt).T @ (source - ms) / len(source)
    u, d, vt = np.linalg.svd(covariance)
    s = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ s @ vt
    scale = np.trace(np.diag(d) @ s) / (source - ms).var(0).sum()
    return np.column_stack([scale * rotation, mt - scale * rotation @ ms])


@given(
    angle=st.floats(-np.pi, np.pi),
    scale=st.floats(0.05, 20),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_a_known_similarity_is_recovered(angle, scale, shift):
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    true = np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])
    found = similarity_transform(TEMPLATE, applied(true, TEMPLATE))
    np.testing.assert_allclose(found, true, atol=1e-9)


def test_a_case_worked_by_hand():
    # A quarter turn, twice the size, moved by (1, 2): (x, y) -> (1 - 2 y, 2 + 2 x).
    source = np.array([[0.0, 0], [1, 0], [0, 1]])
    target = np.array([[1.0, 2], [1, 4], [-1, 2]])
    np.testing.assert_allclose(
        similarity_transform(source, target), [[0, -2, 1], [2, 0, 2]], atol=1e-12
    )


@pytest.mark.slow
@given(st.integers(0, 10**6))
def test_any_points_agree_with_umeyama_and_are_never_mirrored(seed):
    generator = np.random.default_rng(seed)
    source, target = generator.normal(size=(2, 5, 2)) * 30
    if seed % 2:
        target = source * (-1, 1) + generator.normal(size=(5, 2))  # nearly a mirror image
    found = similarity_transform(source, target)
    assert np.linalg.det(found[:, :2]) > 0
    np.testing.assert_allclose(found, umeyama(source, target), atol=1e-9)


@pytest.mark.parametrize("value", [3.0, np.nan, np.inf])
def test_points_without_extent_or_value_are_refused(value):
    with pytest.raises(FaceError, match="coincide or are not numbers"):
        similarity_transform(np.full((5, 2), value), TEMPLATE)


def test_landmarks_on_the_template_leave_the_picture_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    np.testing.assert_array_equal(align_face(picture, TEMPLATE), picture)


def test_a_shift_by_whole_pixels_moves_pixels_and_the_outside_is_black():
    picture = np.random.default_rng(0).integers(1, 256, (112, 112, 3), dtype=np.uint8)
    crop = align_face(picture, TEMPLATE + np.array([10, 0]))
    np.testing.assert_array_equal(crop[:, :102], picture[:, 10:])
    assert not crop[:, 102:].any()


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7, 2.5, 4.3, 11.0])
@pytest.mark.parametrize("angle", [0.0, 0.5, 3.0])
def test_landmarks_end_on_the_template_at_every_scale(scale, angle):
    # White dots at the landmarks of a large black photo must come out on the template.
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = TEMPLATE @ rotation.T
    landmarks += 60 - landmarks.min(axis=0)
    size = np.ceil(landmarks.max(axis=0)).astype(int) + 60
    y, x = np.mgrid[: size[1], : size[0]]
    photo = np.zeros((size[1], size[0]))
    for point in landmarks:
        distance = (x - point[0]) ** 2 + (y - point[1]) ** 2
        photo += 255 * np.exp(-distance / (2 * (1.5 * scale) ** 2))
    photo = np.repeat(photo.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    crop = align_face(photo, landmarks)[:, :, 0].astype(float)
    for point in TEMPLATE:
        left, top = np.floor(point).astype(int) - 4
        patch = crop[top : top + 10, left : left + 10]
        rows, columns = np.mgrid[top : top + 10, left : left + 10]
        centre = np.array([(patch * columns).sum(), (patch * rows).sum()]) / patch.sum()
        assert np.abs(centre - point).max() < 0.2


def test_a_face_shrunk_a_lot_does_not_alias():
    # A fine chequerboard is grey from afar; picking single pixels would leave it black and white.
    board = (np.indices((900, 900)).sum(axis=0) % 2 * 255).astype(np.uint8)
    crop = align_face(np.repeat(board[:, :, None], 3, axis=2), TEMPLATE * 7)
    inner = crop[5:-5, 5:-5].astype(int)
    assert np.abs(inner - 127).max() < 40
    plain = cv2.warpAffine(board, similarity_transform(TEMPLATE * 7, TEMPLATE), (112, 112))
    assert np.abs(plain[5:-5, 5:-5].astype(int) - 127).max() > 100


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_any_landmarks_give_a_crop(seed):
    generator = np.random.default_rng(seed)
    photo = np.zeros((*generator.integers(1, 400, 2), 3), np.uint8)
    landmarks = generator.normal(size=(5, 2)) * 10.0 ** generator.uniform(-1, 4)
    assert align_face(photo, landmarks).shape == (112, 112, 3)


def test_photos_wider_than_opencv_can_address():
    photo = np.full((200, 40_000, 3), 9, np.uint8)
    assert (align_face(photo, TEMPLATE + np.array([39_000, 40])) == 9).all()
