"""YuNet on OpenVINO finds what it finds on OpenCV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_tools.synth.domains import DAYLIGHT
from data_tools.synth.photograph import person, photograph
from mfr.errors import ModelError
from mfr.faces.yunet.detector import YunetDetector
from mfr.faces.yunet.opencv_network import OpenCvNetwork
from mfr.faces.yunet.openvino_network import OpenVinoNetwork
from mfr.faces.yunet.weights import yunet_file
from tests.faces.forked import landmarks_in_a_forked_child

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")


@pytest.fixture(scope="module")
def file() -> str:
    try:
        return str(yunet_file())
    except ModelError as error:
        pytest.skip(str(error))


def group(*sides: int) -> np.ndarray:
    """Photographs beside each other on black."""
    whole = np.zeros((max(sides), sum(sides), 3), np.uint8)
    for number, side in enumerate(sides):
        left = sum(sides[:number])
        shown = photograph(person(0, number), DAYLIGHT, number, photo_size=side).image
        whole[:side, left : left + side] = shown
    return whole


@pytest.mark.parametrize("sides", [(96,), (250,), (320,), (170, 121), (200, 150, 180)])
def test_the_same_faces(file: str, sides: tuple[int, ...]) -> None:
    image = group(*sides)[..., ::-1].copy()
    one, other = OpenVinoNetwork(file)(image), OpenCvNetwork(file)(image)
    assert len(one) == len(other) >= len(sides) - 1
    np.testing.assert_allclose(one[:, :14], other[:, :14], atol=0.02)
    np.testing.assert_allclose(one[:, 14], other[:, 14], atol=1e-4)


def test_nobody(file: str) -> None:
    assert OpenVinoNetwork(file)(np.zeros((64, 50, 3), np.uint8)).shape == (0, 15)


def test_a_forked_child_finds_the_same(file: str) -> None:
    image = group(250)
    detector = YunetDetector(runtime="openvino")
    ((expected,),) = detector.detect([image])
    found = landmarks_in_a_forked_child(detector, image)
    np.testing.assert_allclose(found, expected.landmarks, atol=0.02)


def test_what_is_no_yunet_is_told(tmp_path: Path) -> None:
    noise, other = tmp_path / "noise.onnx", tmp_path / "other.xml"
    noise.write_bytes(b"no network")
    x = openvino.opset13.parameter([1], np.float32)
    openvino.save_model(openvino.Model([openvino.opset13.relu(x)], [x], "relu"), other)
    for file in (noise, other):
        with pytest.raises(ModelError, match=r"is no YuNet network: fetch it again"):
            OpenVinoNetwork(str(file))
