"""What every runtime owes: the network's own features, whatever the batch, from any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from mfr.backbones import build_backbone
from mfr.errors import ConfigError
from mfr.runtimes import RUNTIMES, build_runtime
from mfr.runtimes.runtime import Runtime


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    network = build_backbone("smallfacenet").eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


@pytest.fixture(scope="module", params=RUNTIMES.names())
def runtime(request: pytest.FixtureRequest, network: nn.Module) -> Runtime:
    return build_runtime(request.param, network)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(6, 3, 56, 56, generator=torch.Generator().manual_seed(1))


def test_gives_the_networks_features(
    runtime: Runtime, network: nn.Module, images: torch.Tensor
) -> None:
    found = runtime.features(images)
    assert found.dtype == torch.float32 and found.device == runtime.device
    torch.testing.assert_close(found, network(images), atol=1e-4, rtol=1e-4)


def test_does_not_depend_on_the_batch(runtime: Runtime, images: torch.Tensor) -> None:
    together = runtime.features(images)
    for start, end in ((0, 1), (1, 4), (4, 6)):
        torch.testing.assert_close(
            runtime.features(images[start:end]), together[start:end], atol=1e-5, rtol=1e-5
        )
    assert torch.equal(runtime.features(images), together)


def test_leaves_network_and_images_as_they_are(
    runtime: Runtime, network: nn.Module, images: torch.Tensor
) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    given = images.clone()
    runtime.features(images)
    assert torch.equal(images, given)
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


def test_may_be_shared_by_threads(runtime: Runtime, images: torch.Tensor) -> None:
    expected = runtime.features(images)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: runtime.features(images), range(12)))
    assert all(torch.equal(one, expected) for one in found)


@pytest.mark.parametrize("name", RUNTIMES.names())
def test_a_device_that_is_not_there_is_named(name: str, network: nn.Module) -> None:
    with pytest.raises(ConfigError, match="device 'quantum' cannot be used"):
        build_runtime(name, network, "quantum")


def test_an_unknown_runtime_is_told_with_those_there_are(network: nn.Module) -> None:
    with pytest.raises(
        ConfigError, match=f"no runtime 'abacus': choose one of {', '.join(RUNTIMES.names())}"
    ):
        build_runtime("abacus", network)
