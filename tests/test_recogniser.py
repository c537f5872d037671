"""Photos to embedded faces: with a real detector and network, and with fakes worked out by hand."""

from __future__ import annotations

import io
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.errors import ConfigError, FaceError, ImageError, ModelError
from mfr.faces import Face
from mfr.geometry import TEMPLATE, CropGeometry
from mfr.images import NamedBytes, read_to_search
from mfr.recogniser import Recogniser

CALIBRATION = Calibrations.of(
    Calibration(
        thresholds=[0.9, 0.5], fmrs=[0.001, 0.01], comparisons=1000, people=50, source="toy"
    )
)


MARK = 77
"""The green of the first pixel of a photo that stands upright."""


class Colours:
    """A detector: as many faces as the red of the first pixel says, side by side."""

    name = "colours"

    def __init__(self):
        self.batches = []

    def detect(self, images):
        self.batches.append(len(images))
        return [
            [
                Face(
                    np.array([120 * i, 0, 120 * i + 110 - i, 112], np.float32),
                    0.99,
                    np.float32(TEMPLATE + np.array([120 * i, 0])),
                )
                for i in range(int(image[0, 0, 0]) if image[0, 0, 1] == MARK else 0)
            ]
            for image in images
        ]


class MeanColour:
    """An encoder: the mean colour of a crop's middle, as a unit vector."""

    model_hash, embedding_size, calibration = "feed", 3, CALIBRATION
    geometry = CropGeometry()
    device = torch.device("cpu")

    def embed(self, crops):
        means = crops[:, 40:80, 40:80].reshape(len(crops), -1, 3).mean(1) + 1e-9
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


def photo(*colours, faces=None):
    """A photo of plain squares side by side, 120 pixels apart, as the bytes of a PNG file."""
    pixels = np.zeros((120, 120 * len(colours), 3), np.uint8)
    for i, colour in enumerate(colours):
        pixels[:, 120 * i : 120 * (i + 1)] = colour
    pixels[0, 0] = len(colours) if faces is None else faces, MARK, 0
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    return data.getvalue()


RED, GREEN, ORANGE = (255, 0, 0), (0, 255, 0), (204, 153, 0)


@pytest.fixture
def toy():
    return Recogniser(Colours(), MeanColour())


def test_a_face_is_embedded_and_described(toy):
    embedded = toy.embed_photo(photo(RED))
    np.testing.assert_allclose(embedded.embedding, [1, 0, 0], atol=1e-6)
    assert (embedded.name, embedded.detector) == ("the image", "colours")
    assert embedded.crop.shape == (112, 112, 3)
    assert embedded.box.tolist() == [0, 0, 110, 112]
    assert embedded.quality.probability == 0.99


def test_photos_are_embedded_in_batches_and_in_order(toy):
    photos = [photo(RED), photo(GREEN), photo(ORANGE)] * 11
    found = np.stack([face.embedding for face in toy.embed_photos(photos)])
    expected = np.array([[1, 0, 0], [0, 1, 0], [0.8, 0.6, 0]] * 11)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert toy.detector.batches == [16, 16, 1]
    assert toy.embed_photos([]) == []


def test_what_cannot_be_embedded_gives_its_error_in_its_place(toy):
    photos = [photo(RED), b"no image", photo(RED, faces=0), photo(GREEN), photo(RED, GREEN)] * 7
    found = list(toy.embed_each(photos, face="only"))
    assert [type(each).__name__ for each in found[:5]] == [
        *("EmbeddedFace", "ImageError", "FaceError", "EmbeddedFace", "FaceError")
    ]
    assert [str(each) for each in found[5:10:2]] == [str(each) for each in found[:5:2]]
    assert "has 2 faces" in str(found[-1])
    np.testing.assert_allclose(found[33].embedding, [0, 1, 0], atol=1e-6)
    assert len(found) == 35 and list(toy.embed_each([])) == []


def test_all_faces_of_many_photos_are_those_of_each(toy):
    photos = [photo(RED, GREEN, ORANGE), b"no image", photo(RED, faces=0), photo(GREEN)] * 9
    found = list(toy.embed_faces_each(photos))
    assert len(found) == 36
    for path, faces in zip(photos, found, strict=True):
        if isinstance(faces, ImageError):
            assert path == b"no image"
            continue
        alone = toy.embed_faces(path)
        assert [face.box.tolist() for face in faces] == [face.box.tolist() for face in alone]
        for face, other in zip(faces, alone, strict=True):
            np.testing.assert_allclose(face.embedding, other.embedding, atol=1e-6)
    assert [len(faces) for faces in found[2:4]] == [0, 1]


def test_photos_are_taken_only_some_batches_ahead(toy):
    taken = itertools.count()
    endless = (photo(RED) for _ in taken)
    each = toy.embed_each(endless)
    next(each)
    each.close()
    threads = min(torch.get_num_threads(), 8)
    assert next(taken) <= 16 * (threads + 1) + 1


def test_all_faces_of_a_photo(toy):
    faces = toy.embed_faces(photo(RED, GREEN, ORANGE))
    expected = [[1, 0, 0], [0, 1, 0], [0.8, 0.6, 0]]
    np.testing.assert_allclose([face.embedding for face in faces], expected, atol=1e-6)
    assert toy.embed_faces(photo(RED, faces=0)) == []


def test_which_face_is_meant(toy):
    group = photo(RED, GREEN, ORANGE)
    assert toy.embed_photo(group, face="largest").embedding[0] > 0.99
    assert toy.embed_photo(group, face="central").embedding[1] > 0.99
    with pytest.raises(FaceError, match="has 3 faces"):
        toy.embed_photo(group, face="only")
    with pytest.raises(FaceError, match="No face was found in the image"):
        toy.embed_photos([photo(RED), photo(RED, faces=0)])
    with pytest.raises(ImageError):
        toy.embed_photos([photo(RED), b"no image"])


def test_what_makes_a_face_doubtful_is_said(toy):
    plain = "The face in the image is poor: it is blurred or almost without contrast."
    assert toy.embed_photo(photo(RED)).remarks == (plain,)
    several = toy.embed_photo(photo(RED, GREEN))
    assert (several.faces, several.doubtful, several.turn) == (2, True, 0)
    assert several.remarks[1].startswith("the image has 2 faces and it is not clear which")
    assert toy.compare(photo(RED), photo(RED)).warnings == (plain, plain)


def test_a_photo_on_its_side_is_turned_and_that_is_said(toy):
    pixels = np.asarray(Image.open(io.BytesIO(photo(RED, GREEN))))
    data = io.BytesIO()
    Image.fromarray(np.rot90(pixels)).save(data, format="PNG")
    turned = toy.embed_photo(data.getvalue(), face="largest")
    upright = toy.embed_photo(photo(RED, GREEN), face="largest")
    np.testing.assert_array_equal(turned.crop, upright.crop)
    assert turned.turn == 90
    assert "the image does not stand upright: it was turned by 90 degrees" in turned.remarks[1]


def test_two_photos_are_compared_by_the_calibrated_threshold(toy):
    refused = toy.compare(photo(RED), photo(ORANGE))  # cosine 0.8, threshold 0.9 at FMR 0.001
    assert (refused.match, refused.threshold) == (False, 0.9)
    assert refused.score == pytest.approx(0.8, abs=1e-6)
    accepted = toy.compare(photo(RED), photo(ORANGE), fmr=0.01)
    assert (accepted.match, accepted.threshold) == (True, 0.5)
    assert not toy.compare(photo(RED), photo(ORANGE), threshold=0.81).match
    with pytest.raises(ConfigError):
        toy.compare(photo(RED), photo(ORANGE), fmr=0)


def test_without_a_calibration_comparing_needs_a_threshold(toy):
    toy.encoder.calibration = None
    with pytest.raises(ModelError, match="no calibration"):
        toy.compare(b"not read", b"not read")
    assert toy.compare(photo(RED), photo(RED), threshold=0.5).fmr is None


def test_an_unknown_detector_is_named(tmp_path, shared_data):
    weights = shared_data / "weights" / "mobilefacenet_casia_112x96.ckpt"
    with pytest.raises(ConfigError, match="no detector 'eyes': choose one of"):
        Recogniser.load(weights, detector="eyes")


@pytest.fixture(scope="module")
def recogniser(shared_data):
    weights = shared_data / "weights" / "mobilefacenet_casia_112x96.ckpt"
    return Recogniser.load(weights, backbone="mobilefacenet-112x96")


def test_same_people_score_higher_than_different_ones(shared_data, recogniser):
    people = ["Aaron_Peirsol", "Serena_Williams", "Tony_Blair", "Angelina_Jolie"]
    faces = shared_data / "faces" / "lfw"
    photos = {
        person: [faces / person / f"{person}_{n:04d}.jpg" for n in (1, 2)] for person in people
    }
    embedded = {
        person: [recogniser.embed_photo(photo, face="central") for photo in pair]
        for person, pair in photos.items()
    }
    first = embedded["Tony_Blair"][0]
    assert first.crop.shape == (112, 112, 3) and first.quality.probability > 0.9
    assert first.detector == "mtcnn"
    assert first.name == str(photos["Tony_Blair"][0])
    from_bytes = recogniser.embed_photo(photos["Tony_Blair"][0].read_bytes(), face="central")
    assert np.array_equal(from_bytes.embedding, first.embedding)

    same = [float(a.embedding @ b.embedding) for a, b in embedded.values()]
    different = [
        float(a.embedding @ b.embedding)
        for one, other in itertools.combinations(people, 2)
        for a in embedded[one]
        for b in embedded[other]
    ]
    assert min(same) > max(different) + 0.1


def test_threads_may_share_a_recogniser(shared_data, recogniser):
    photos = sorted((shared_data / "faces" / "lfw" / "Tony_Blair").glob("*.jpg"))[:4]
    expected = [recogniser.embed_photo(photo).embedding for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda photo: recogniser.embed_photo(photo).embedding, photos))
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_another_reader_gives_photos_and_uploads_keep_their_names():
    asked = []

    def read(photo, enough):
        asked.append((photo.name, enough))
        return read_to_search(photo, enough)

    recogniser = Recogniser(Colours(), MeanColour(), read=read)
    names = ["ada.png", "bob.png"]
    photos = [NamedBytes(photo(RED), name) for name in names]
    assert [face.name for face in recogniser.embed_photos(photos)] == names
    assert asked == [(name, None) for name in names]
    with pytest.raises(FaceError, match=r"found in eve\.png"):
        recogniser.embed_photo(NamedBytes(photo(RED, faces=0), "eve.png"))
    with pytest.raises(ImageError, match=r"^eve\.png is not an image"):
        recogniser.embed_photo(NamedBytes(b"text", "eve.png"))
