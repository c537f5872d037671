"""What every runtime owes: the network's own features, whatever the batch, from any thread."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mfr.backbones import build_backbone
from mfr.errors import ConfigError
from mfr.runtimes import RUNTIMES, build_runtime
from mfr.runtimes.measuring import lowest_cosine
from mfr.runtimes.runtime import Runtime

SIZE = (56, 56)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    network = build_backbone("smallfacenet").eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


def made(name: str, network: nn.Module, **options: Any) -> Runtime:
    """The runtime, where it is installed."""
    try:
        return build_runtime(name, network, size=SIZE, **options)
    except ConfigError as error:
        if "not installed" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture(scope="module", params=RUNTIMES.names())
def runtime(request: pytest.FixtureRequest, network: nn.Module) -> Runtime:
    return made(request.param, network)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((6, 3, *SIZE)).astype(np.float32)


def exact(network: nn.Module, images: np.ndarray) -> np.ndarray:
    features: np.ndarray = network(torch.from_numpy(images)).numpy()
    return features


def test_gives_the_networks_features(
    runtime: Runtime, network: nn.Module, images: np.ndarray
) -> None:
    found = runtime.features(images)
    assert found.dtype == np.float32 and runtime.device == "cpu"
    np.testing.assert_allclose(found, exact(network, images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_bfloat16_is_near_the_networks_features(
    name: str, network: nn.Module, images: np.ndarray
) -> None:
    try:
        found = made(name, network, precision="bfloat16").features(images)
    except ConfigError as error:
        assert "no bfloat16 arithmetic" in str(error)
        pytest.skip(str(error))
    wanted = exact(network, images)
    assert found.dtype == np.float32
    assert lowest_cosine(found, wanted) > 0.999
    assert not np.array_equal(found, wanted)


def test_a_precision_that_a_runtime_lacks_is_named(network: nn.Module) -> None:
    with pytest.raises(ConfigError, match=r"onnxruntime has no bfloat16: .*--runtime openvino"):
        made("onnxruntime", network, precision="bfloat16")


def test_does_not_depend_on_the_batch(runtime: Runtime, images: np.ndarray) -> None:
    together = runtime.features(images)
    for start, end in ((0, 1), (1, 4), (4, 6)):
        np.testing.assert_allclose(
            runtime.features(images[start:end]), together[start:end], atol=1e-5, rtol=1e-5
        )
    assert np.array_equal(runtime.features(images), together)


def test_images_that_must_not_be_written_are_read(
    runtime: Runtime, images: np.ndarray, recwarn: pytest.WarningsRecorder
) -> None:
    frozen = images.copy()
    frozen.setflags(write=False)
    assert np.array_equal(runtime.features(frozen), runtime.features(images))
    assert not recwarn.list


def test_leaves_network_and_images_as_they_are(
    runtime: Runtime, network: nn.Module, images: np.ndarray
) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    given = images.copy()
    runtime.features(images)
    assert np.array_equal(images, given)
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


def test_earlier_features_are_not_written_over(runtime: Runtime, images: np.ndarray) -> None:
    first = runtime.features(images)
    kept = first.copy()
    runtime.features(-images)
    assert np.array_equal(first, kept)


def test_may_be_shared_by_threads(runtime: Runtime, images: np.ndarray) -> None:
    expected = runtime.features(images)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: runtime.features(images), range(12)))
    assert all(np.array_equal(one, expected) for one in found)


def test_a_forked_process_computes_the_same(runtime: Runtime, images: np.ndarray) -> None:
    expected = runtime.features(images)
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=lambda: sender.send(runtime.features(images)))
    child.start()
    assert receiver.poll(60)
    found = receiver.recv()
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
    child.join()


@pytest.mark.parametrize("name", RUNTIMES.names())
def test_a_device_that_is_not_there_is_named(name: str, network: nn.Module) -> None:
    with pytest.raises(ConfigError, match="device 'quantum' cannot be used"):
        made(name, network, device="quantum")


def test_an_unknown_runtime_is_told_with_those_there_are(network: nn.Module) -> None:
    with pytest.raises(
        ConfigError, match=f"no runtime 'abacus': choose one of {', '.join(RUNTIMES.names())}"
    ):
        made("abacus", network)
