"""The cascade on OpenVINO finds what the cascade on PyTorch finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data_tools.synth.domains import DAYLIGHT
from data_tools.synth.photograph import person, photograph
from mfr.faces import build_detector
from mfr.faces.mtcnn.averages import AreaAverages
from mfr.faces.mtcnn.cascade import Cascade
from mfr.faces.mtcnn.detector import MtcnnDetector
from mfr.faces.mtcnn.networks import load_network
from mfr.faces.mtcnn.openvino_networks import OpenVinoNetwork
from mfr.faces.mtcnn.packed_cascade import PackedCascade
from mfr.faces.mtcnn.packed_pyramid import packed_pyramid
from mfr.faces.mtcnn.window_means import means
from mfr.images import read_image
from tests.faces.forked import landmarks_in_a_forked_child

pytest.importorskip("openvino")

CPU = torch.device("cpu")
THRESHOLDS, FACTOR = (0.6, 0.7, 0.7), 0.709
Found = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def packed() -> PackedCascade:
    return PackedCascade(THRESHOLDS, FACTOR)


@pytest.fixture(scope="module")
def plain() -> Cascade:
    return Cascade(CPU, THRESHOLDS, FACTOR)


def drawn(number: int, side: int) -> np.ndarray:
    return photograph(person(0, number), DAYLIGHT, number, photo_size=side).image


def furthest(one: Found, other: Found) -> list[float]:
    """For each face of ``one`` how far it is from the nearest of ``other``, in pixels."""
    return [
        min(
            (
                max(np.abs(box - b)[:4].max(), np.abs(points - p).max())
                for b, p in zip(*other, strict=True)
            ),
            default=np.inf,
        )
        for box, points in zip(*one, strict=True)
    ]


@pytest.mark.parametrize("name, size", [("pnet", 31), ("rnet", 24), ("onet", 48)])
def test_a_network_says_the_same_on_openvino(name: str, size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = 255 * torch.rand(3, 3, size, size, generator=generator)
    expected = load_network(name, CPU)((pixels - 127.5) / 128)
    nothing_unseen = [np.zeros((1, 1, size - 2, size - 2), np.float32)] * (name == "pnet")
    found = OpenVinoNetwork(name)(pixels.numpy(), *nothing_unseen)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one.numpy(), atol=1e-5)


@pytest.mark.parametrize("height, width, smallest", [(97, 131, 20), (300, 64, 15), (12, 12, 12)])
def test_the_canvas_says_of_every_place_what_its_scale_says_alone(
    height: int, width: int, smallest: int
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pnet, alone = OpenVinoNetwork("pnet"), load_network("pnet", CPU)
    averages = AreaAverages([image], CPU)
    said: dict[int, list[np.ndarray]] = {}
    for strip in packed_pyramid(height, width, smallest, FACTOR):
        pixels = means(averages._tables[0].numpy(), strip.windows).transpose(2, 0, 1)[None]
        _, probability = pnet(np.ascontiguousarray(pixels), strip.unseen)
        for level in set(strip.levels.tolist()) - {-1}:
            said.setdefault(level, []).append(probability[0, 1].reshape(-1)[strip.levels == level])
    scale, level = 12 / smallest, 0
    while min(height, width) * scale >= 12:
        shrunk = averages.whole(0, (int(height * scale + 1), int(width * scale + 1)))
        expected = alone((shrunk - 127.5) / 128)[1][0, 1].numpy().reshape(-1)
        np.testing.assert_allclose(np.concatenate(said.pop(level)), expected, atol=1e-5)
        scale, level = scale * FACTOR, level + 1
    assert not said


def test_a_canvas_of_many_pixels_is_cut_into_strips_of_one_shape() -> None:
    strips = packed_pyramid(480, 640, 24, FACTOR)
    assert len(strips) > 1
    assert len({strip.windows.shares.shape for strip in strips}) == 1
    assert max(strip.windows.shares.size for strip in strips) < 90_000


@pytest.mark.parametrize("side", [121, 250, 333])
def test_drawn_people_are_found_where_the_other_cascade_finds_them(
    packed: PackedCascade, plain: Cascade, side: int
) -> None:
    images = [drawn(number, side) for number in range(4)]
    images.append(np.hstack([images[0], images[1][:, : side // 2]]))  # one is cut in two
    smallest = [20] * len(images)
    for one, other in zip(
        plain.search(images, smallest), packed.search(images, smallest), strict=True
    ):
        assert len(one[0]) == len(other[0]) > 0
        assert max(furthest(one, other)) < 0.01
        np.testing.assert_allclose(other[0][:, 4], one[0][:, 4], atol=1e-4)


@pytest.mark.slow
def test_real_faces_are_found_within_half_a_pixel(
    packed: PackedCascade, plain: Cascade, shared_data: Path
) -> None:
    paths = sorted((shared_data / "faces/lfw").glob("*/*_0001.jpg"))[:: 5749 // 100]
    paths += sorted((shared_data / "faces/celeb_photo").glob("*/01.jpg"))[::5]
    images = [read_image(path) for path in paths]
    smallest = [20] * len(images)
    apart: list[float] = []
    for one, other in zip(
        plain.search(images, smallest), packed.search(images, smallest), strict=True
    ):
        apart += furthest(one, other) + furthest(other, one)
    assert len(apart) > 200
    assert np.mean(np.array(apart) < 0.5) >= 0.999


def test_the_detector_computes_with_what_it_is_told() -> None:
    image = drawn(1, 250)
    ((expected,),) = build_detector().detect([image])
    detector = MtcnnDetector(runtime="openvino")
    ((found,),) = detector.detect([image])
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=0.01)
    assert found.landmarks.tobytes() != expected.landmarks.tobytes()  # it was another runtime


@pytest.mark.slow
def test_a_forked_child_finds_the_same() -> None:
    image = drawn(2, 250)
    detector = MtcnnDetector(runtime="openvino")
    ((expected,),) = detector.detect([image])
    found = landmarks_in_a_forked_child(detector, image)
    np.testing.assert_allclose(found, expected.landmarks, atol=0.01)
