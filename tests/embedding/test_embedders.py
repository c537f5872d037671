"""Faces become the same embeddings with arrays and with tensors, in the order that is stated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mfr.backbones import backbone_spec
from mfr.embedding import embedder_for
from mfr.embedding.arrays import ArrayEmbedder
from mfr.embedding.embedder import Embedder
from mfr.embedding.tensors import TensorEmbedder
from mfr.errors import ModelError
from mfr.geometry import CropGeometry, FlipFusion

SIZE = 5
FUSIONS: list[FlipFusion] = [True, "sum", False]


class OfArrays:
    """Features are the means of five columns of the input, times ``factor``."""

    device = "cpu"

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = np.float32(factor)

    def features(self, images: np.ndarray) -> np.ndarray:
        return images[..., :SIZE].mean(axis=(1, 2)) * self.factor


class OfTensors(OfArrays):
    def tensor_features(self, images: torch.Tensor) -> torch.Tensor:
        return images[..., :SIZE].mean(dim=(1, 2)) * float(self.factor)


def both(
    geometry: CropGeometry, fusion: FlipFusion, centre: Any = None, factor: float = 1.0
) -> list[Embedder]:
    if centre is not None:
        centre = np.asarray(centre, np.float32)
    made = [embedder_for(kind(factor), geometry, fusion, centre) for kind in (OfArrays, OfTensors)]
    assert [type(one) for one in made] == [ArrayEmbedder, TensorEmbedder]
    return made


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("centred", [False, True])
def test_the_order_of_fusion_length_and_centre(
    fusion: FlipFusion, centred: bool, crops: np.ndarray
) -> None:
    columns = (crops.astype(np.float64).mean(axis=(1, 3)) - 127.5) / 128
    straight, mirrored = columns[:, :SIZE], columns[:, ::-1][:, :SIZE]
    joined = {True: np.hstack([straight, mirrored]), "sum": straight + mirrored, False: straight}
    expected = unit(joined[fusion])
    centre = np.linspace(-0.3, 0.3, expected.shape[1]) if centred else None
    if centre is not None:
        expected = unit(expected - centre)
    for one in both(CropGeometry(), fusion, centre):
        found = one.crops(crops)
        assert found.dtype == np.float32
        # Means of noise are near the middle grey: little is left of their digits.
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["mobilefacenet-112x96", "facenet", "dlib-resnet"])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_arrays_and_tensors_agree(name: str, fusion: FlipFusion, crops: np.ndarray) -> None:
    geometry = backbone_spec(name).geometry
    chips = np.random.default_rng(1).integers(100, 256, (3, *geometry.size, 3), dtype=np.uint8)
    centre = np.full(SIZE * (2 if fusion is True else 1), 0.1)
    one, other = both(geometry, fusion, centre)
    np.testing.assert_allclose(one.crops(crops // 2), other.crops(crops // 2), atol=1e-6)
    np.testing.assert_allclose(one.chips(chips), other.chips(chips), atol=1e-6)


@pytest.mark.parametrize("factor", [0.0, float("nan"), float("inf"), 3e38])
def test_what_has_no_length_is_refused(
    factor: float, crops: np.ndarray, recwarn: pytest.WarningsRecorder
) -> None:
    for one in both(CropGeometry(mean=0), True, factor=factor):
        with pytest.raises(ModelError, match="infinite, not numbers or all zero"):
            one.crops(crops)
    assert not recwarn.list


def test_what_is_the_centre_itself_is_refused(crops: np.ndarray) -> None:
    (centre,) = ArrayEmbedder(OfArrays(), CropGeometry(), False, None).crops(crops[:1])
    with pytest.raises(ModelError, match="all zero"):
        ArrayEmbedder(OfArrays(), CropGeometry(), False, centre).crops(crops[:1])


def test_faces_that_must_not_be_written_are_left_alone(crops: np.ndarray) -> None:
    frozen = crops[:, :, ::-1]
    frozen.setflags(write=False)
    for one in both(CropGeometry(), True):
        assert np.array_equal(one.crops(frozen), one.crops(frozen.copy()))
