"""Batch normalisation is folded where that changes nothing, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from threading import Event, Thread

import pytest
import torch
from torch import Tensor, nn

from mfr.backbones import BACKBONES, build_backbone
from mfr.runtimes.folding import folded

SIZE = (8, 8)


class Block(nn.Module):
    """A convolution, its normalisation, and something made of both."""

    def __init__(self, also: str) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.also = also

    def forward(self, images: Tensor) -> Tensor:
        seen: Tensor = self.convolution(images)
        found: Tensor = self.norm(seen)
        if self.also == "the convolution":
            return found + seen
        if self.also == "the convolution again":
            return found + self.convolution(images)
        if self.also == "the norm again":
            return found + self.norm(found)
        return found


def unlike(network: nn.Module) -> nn.Module:
    """``network`` with statistics of its own, ready to compute."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval().requires_grad_(False)


def norms(network: nn.Module) -> int:
    return sum(isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d) for one in network.modules())


def alike(network: nn.Module, size: tuple[int, int] = SIZE) -> nn.Module:
    """The folded network, after a look at what both compute."""
    images = torch.randn(3, 3, *size)
    made = folded(network, size)
    expected = network(images)
    torch.testing.assert_close(
        made(images), expected, atol=1e-4 * float(expected.abs().max()), rtol=0
    )
    return made


def test_a_convolution_normalises_its_output_itself_and_the_network_stays_as_it_was() -> None:
    network = unlike(Block("nothing"))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert norms(alike(network)) == 0 and norms(network) == 1
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())
    network = unlike(nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.BatchNorm1d(5)))
    assert norms(alike(network)) == 0


@pytest.mark.parametrize("also", ["the convolution", "the convolution again", "the norm again"])
def test_what_is_used_elsewhere_too_stays(also: str) -> None:
    assert norms(alike(unlike(Block(also)))) == 1


def test_a_normalisation_before_its_convolution_stays() -> None:
    assert norms(alike(unlike(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3))))) == 1


def test_a_network_that_fails_on_black_is_copied_as_it_is() -> None:
    class Refusing(Block):
        def forward(self, images: Tensor) -> Tensor:
            if not images.any():
                raise ValueError
            return super().forward(images)

    assert norms(alike(unlike(Refusing("nothing")))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilefacenet", "smallfacenet"])
def test_all_of_a_network_of_ours(name: str) -> None:
    assert name in BACKBONES.names()
    size = (56, 56) if name == "smallfacenet" else (112, 112)
    assert norms(alike(unlike(build_backbone(name)), size)) == 0


@pytest.mark.slow
def test_the_compiler_is_not_imported_which_takes_a_second() -> None:
    code = (
        "import sys; from torch import nn; from mfr.runtimes.folding import folded;"
        "made = folded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval(), (8, 8));"
        "assert isinstance(made[1], nn.Identity);"
        "assert not {'torch._dynamo', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_threads_go_on_computing() -> None:
    """While torch.fx traced, a module that another thread called was looked for in the network."""
    begun, end = Event(), Event()

    class Waiting(Block):
        def forward(self, images: Tensor) -> Tensor:
            begun.set()
            assert end.wait(30)
            return super().forward(images)

    network = unlike(Waiting("nothing"))
    thread = Thread(target=folded, args=(network, SIZE))
    thread.start()
    assert begun.wait(30)
    other = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)).eval()
    assert other(torch.zeros(1, 3, 4, 4)).shape == (1, 2, 4, 4)
    end.set()
    thread.join()
