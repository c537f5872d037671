"""What every detector owes: faces where they are, whatever the batch, from any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from data_tools.synth.domains import DAYLIGHT
from data_tools.synth.photograph import person, photograph
from mfr.errors import ConfigError, ModelError
from mfr.faces import DETECTORS, Detector, Face, build_detector
from mfr.faces.mtcnn.detector import MtcnnDetector
from mfr.faces.yunet.detector import YunetDetector

ON_OPENVINO = {"mtcnn on openvino": MtcnnDetector, "yunet on openvino": YunetDetector}


@pytest.fixture(scope="module", params=[*DETECTORS.names(), *ON_OPENVINO])
def detector(request: pytest.FixtureRequest) -> Detector:
    try:
        if request.param in ON_OPENVINO:
            return ON_OPENVINO[request.param](runtime="openvino")
        return build_detector(request.param)
    except (ModelError, ConfigError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def taken() -> list:
    """Photos of four people who do not exist, with the landmarks they were drawn with."""
    return [photograph(person(0, n), DAYLIGHT, n, photo_size=220 + 20 * n) for n in range(4)]


def bits(faces: list[Face]) -> list[tuple]:
    return [(face.box.tobytes(), face.probability, face.landmarks.tobytes()) for face in faces]


def test_has_the_name_it_is_found_by(detector: Detector) -> None:
    assert detector.name in DETECTORS.names()


def test_finds_the_landmarks_of_a_face(detector: Detector, taken: list) -> None:
    for shot, faces in zip(taken, detector.detect([one.image for one in taken]), strict=True):
        assert len(faces) == 1
        (face,) = faces
        assert face.box.shape == (4,) and face.landmarks.shape == (5, 2)
        assert face.box.dtype == face.landmarks.dtype == np.float32
        assert 0 < face.probability <= 1
        error = np.linalg.norm(face.landmarks - shot.landmarks, axis=1).mean()
        # Drawn heads are no faces, so landmarks may be off by some; in another order, or mirrored,
        # they would be off by the distance between the eyes.
        assert error < 0.4 * np.linalg.norm(shot.landmarks[1] - shot.landmarks[0])


def test_does_not_depend_on_the_batch(detector: Detector, taken: list) -> None:
    images = [one.image for one in taken]
    alone = [bits(detector.detect([image])[0]) for image in images]
    assert [bits(faces) for faces in detector.detect([*images, *images[::-1]])][:4] == alone


def test_the_largest_face_comes_first(detector: Detector, taken: list) -> None:
    small, large = taken[0].image, taken[3].image
    group = np.zeros((280, 520, 3), np.uint8)
    group[: small.shape[0] // 2, : small.shape[1] // 2] = small[::2, ::2]
    group[:280, 240:520] = large
    (faces,) = detector.detect([group])
    areas = [face.area for face in faces]
    assert len(areas) == 2 and areas == sorted(areas, reverse=True)


def test_nothing_gives_nothing(detector: Detector) -> None:
    assert detector.detect([]) == []
    plain = np.full((64, 80, 3), 128, np.uint8)
    assert detector.detect([plain, plain[:1], plain[:, :1]]) == [[], [], []]


def test_may_be_shared_by_threads(detector: Detector, taken: list) -> None:
    images = [one.image for one in taken]
    expected = [bits(faces) for faces in detector.detect(images)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: bits(detector.detect([image])[0]), images * 2))
    assert found == expected * 2


def test_an_unknown_detector_is_told_with_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match=f"no detector 'eyes': choose one of {', '.join(DETECTORS.names())}"
    ):
        build_detector("eyes")
