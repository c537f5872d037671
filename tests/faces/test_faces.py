from __future__ import annotations

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN

from mfr.errors import FaceError
from mfr.faces import Face, FaceCropper, build_detector, measure_quality
from mfr.faces.cropping import choose_faces
from mfr.faces.detector import Detector
from mfr.faces.mtcnn.averages import AreaAverages
from mfr.faces.mtcnn.cascade import Cascade, _Stage
from mfr.geometry import CROP_SIZE, TEMPLATE
from mfr.images import read_image


@pytest.fixture(scope="module")
def detector() -> Detector:
    return build_detector()


@pytest.fixture(scope="module")
def photos(shared_data):
    faces = shared_data / "faces"
    return [
        read_image(faces / "lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg"),
        read_image(faces / "lfw/AJ_Cook/AJ_Cook_0001.jpg"),
        read_image(faces / "celeb_photo/aamir_khan/01.jpg"),
        read_image(faces / "orl/s01/01.png"),
    ]


def face(x: float, y: float, side: float) -> Face:
    box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32)
    return Face(box, 0.9, np.float32(TEMPLATE))


@pytest.mark.parametrize(
    "shape", [(1, 1, 3), (1, 500, 3), (19, 19, 3), (20, 20, 3), (300, 20, 3), (64, 64, 3)]
)
@pytest.mark.parametrize("value", [0, 128, 255])
def test_tiny_and_plain_images_have_no_face(detector, shape, value):
    assert detector.detect([np.full(shape, value, np.uint8)]) == [[]]


def test_nothing_to_search_gives_nothing(detector):
    assert detector.detect([]) == []


def test_faces_are_found_where_they_are(detector, photos):
    for photo, faces in zip(photos, detector.detect(photos), strict=True):
        height, width = photo.shape[:2]
        assert len(faces) == 1
        left, right, nose, mouth_left, mouth_right = faces[0].landmarks
        assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
        assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
        assert (faces[0].landmarks >= 0).all() and (faces[0].landmarks < (width, height)).all()
        assert 0.7 < faces[0].probability <= 1


def test_neither_company_nor_repetition_changes_a_bit_of_what_is_found(detector, photos):
    def bits(faces):
        return [(one.box.tobytes(), one.probability, one.landmarks.tobytes()) for one in faces]

    mirrored = [photo[:, ::-1].copy() for photo in photos]
    together = detector.detect([*photos, *mirrored, *photos[::-1]])
    alone = [bits(detector.detect([photo])[0]) for photo in photos]
    assert [bits(faces) for faces in together[:4]] == alone
    assert [bits(faces) for faces in together[:7:-1]] == alone


def test_away_from_the_rim_the_cascade_agrees_with_facenet_pytorch(photos):
    photo = photos[0]
    boxes, probabilities, points = MTCNN(keep_all=True).detect(photo, landmarks=True)
    cascade = Cascade(torch.device("cpu"), (0.6, 0.7, 0.7), 0.709)
    found, landmarks = cascade.search([photo], [20])[0]
    assert len(found) == len(boxes) == 1
    np.testing.assert_allclose(found[:, :4], boxes.astype(float), atol=1e-2)
    np.testing.assert_allclose(found[:, 4], probabilities.astype(float), atol=1e-5)
    np.testing.assert_allclose(landmarks, points.astype(float), atol=1e-2)


def test_a_tight_photo_gives_the_landmarks_of_a_wide_one(detector, photos):
    # facenet-pytorch's own detection is tens of pixels off here.
    photo = photos[0]
    wide = detector.detect([photo])[0][0]
    x0, y0, x1, y1 = wide.box.round().astype(int)
    tight = detector.detect([photo[y0:y1, x0:x1].copy()])[0][0]
    difference = tight.landmarks + np.array([x0, y0]) - wide.landmarks
    assert np.abs(difference).max() < 0.08 * (x1 - x0)


def test_large_photos_are_searched_small_and_mapped_back(detector, photos):
    small = detector.detect([photos[0]])[0][0]
    large = np.repeat(np.repeat(photos[0], 8, axis=0), 8, axis=1)
    found = detector.detect([large])[0][0]
    expected = (small.landmarks + 0.5) * 8 - 0.5
    assert np.abs(found.landmarks - expected).max() < 0.1 * 8 * small.inter_ocular


def test_a_dark_tight_face_is_found_at_the_second_look(detector, shared_data):
    photo = read_image(shared_data / "faces/yaleb/yaleB01/yaleB01_P00A+000E+20.jpg")
    dark = (photo * 0.1).astype(np.uint8)
    (faces,) = detector.detect([dark])
    bright = detector.detect([photo])[0][0]
    assert len(faces) == 1
    assert np.abs(faces[0].landmarks - bright.landmarks).max() < 15


def test_five_faces_are_counted_and_ordered(detector, photos):
    tiles = np.zeros((300, 1000, 3), np.uint8)
    for i, side in enumerate([200, 100, 180, 120, 160]):
        step = np.linspace(0, 249, side).astype(int)
        tiles[20 : 20 + side, 200 * i : 200 * i + side] = photos[0][step][:, step]
    (faces,) = detector.detect([tiles])
    assert len(faces) == 5
    areas = [found.area for found in faces]
    assert areas == sorted(areas, reverse=True)
    cropper = FaceCropper(detector)
    assert len(cropper.crop([tiles], "all")[0]) == 5
    assert [len(crops) for crops in cropper.crop([tiles, tiles * 0], "largest")] == [1, 0]
    with pytest.raises(FaceError, match=r"group\.jpg has 5 faces: crop it to one"):
        cropper.crop_one(tiles, "group.jpg", choice="only")
    largest = cropper.crop_one(tiles, "group.jpg", choice="largest")
    assert largest.crop.shape == (CROP_SIZE, CROP_SIZE, 3) and largest.crop.dtype == np.uint8
    assert largest.face.area == areas[0]
    assert largest.quality.inter_ocular == pytest.approx(faces[0].inter_ocular)
    central = cropper.crop_one(tiles, "group.jpg", choice="central")
    assert 400 < central.face.box[[0, 2]].mean() < 600
    with pytest.raises(FaceError, match=r"No face was found in wall\.jpg: use"):
        cropper.crop_one(tiles * 0, "wall.jpg")


def test_of_two_faces_alike_one_is_doubtful_and_both_are_not(detector, photos):
    cropper = FaceCropper(detector)
    pair = np.hstack([photos[0], photos[0]])
    assert cropper.crop_one(pair, "pair.jpg").doubtful
    assert [each.doubtful for each in cropper.crop([pair], "all")[0]] == [False, False]


def test_which_faces_count():
    image = np.zeros((100, 200, 3), np.uint8)
    faces = [face(20, 20, 40), face(110, 45, 20), face(180, 90, 10)]
    assert choose_faces(faces, image, "largest") == faces[:1]
    assert choose_faces(faces, image, "central") == [faces[1]]
    assert choose_faces(faces, image, "all") == faces
    for choice in ("largest", "central", "all"):
        assert choose_faces([], image, choice) == []


def test_impossible_boxes_are_left_out_and_the_others_stay_with_their_image():
    images = [np.full((10, 10, 3), 255, np.uint8), np.full((10, 20, 3), 51, np.uint8)]
    squares = [
        [
            [-3.0, 1, 4, 8, 0.9],  # half beyond the left rim: pixel columns -3..0 are black
            [20, 20, 30, 30, 0.8],  # wholly outside
            [1, 1, 8, 8, 0.7],
            [-30, -30, 30, 30, 0.6],  # more than twice the image
        ],
        [[11, 1, 18, 8, 0.5], [11, 20, 18, 28, 0.4]],
    ]
    seen = []

    class Means(torch.nn.Module):
        def forward(self, patches):
            seen.append(patches)
            return patches.mean((2, 3))[:, :1], patches.mean((1, 2, 3))[:, None]

    stage = _Stage(Means(), 8, (1, 1), part=2)
    averages = AreaAverages(images, torch.device("cpu"))
    first, second = stage(averages, [torch.tensor(boxes) for boxes in squares])
    assert first[0][:, 4].tolist() == pytest.approx([0.9, 0.7])
    assert second[0][:, 4].tolist() == pytest.approx([0.5])
    white, grey, black = (255 - 127.5) / 128, (51 - 127.5) / 128, -127.5 / 128
    assert (seen[0][0, :, :, :4] == black).all() and (seen[0][0, :, :, 4:] == white).all()
    assert first[1].flatten().tolist() == pytest.approx([(white + black) / 2, white])
    assert second[2].flatten().tolist() == pytest.approx([grey])
    assert {len(patches) for patches in seen} == {2}
    nothing = [boxes[:0] for boxes in map(torch.tensor, squares)]
    assert [[len(tensor) for tensor in image] for image in stage(averages, nothing)] == [
        [0] * 3
    ] * 2


def test_quality_of_known_crops():
    flat = np.full((CROP_SIZE, CROP_SIZE, 3), 77, np.uint8)
    quality = measure_quality(face(50, 50, 60), flat)
    assert quality.blur == 0 and quality.brightness == 77 and quality.probability == 0.9
    eyes = TEMPLATE[1] - TEMPLATE[0]
    assert quality.inter_ocular == pytest.approx(float(np.hypot(*eyes)), abs=1e-4)
    noisy = np.random.default_rng(0).integers(0, 256, flat.shape, dtype=np.uint8)
    soft = np.repeat(np.repeat(noisy[::8, ::8], 8, axis=0), 8, axis=1)
    sharpness = [measure_quality(face(50, 50, 60), crop).blur for crop in (flat, soft, noisy)]
    assert sharpness == sorted(sharpness)
