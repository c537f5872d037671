"""Which statistics the layers use that normalise with those of a batch."""

from __future__ import annotations

from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

Statistics = Literal["batch", "frozen"]


def train_with(network: nn.Module, statistics: Statistics) -> None:
    """Training mode, in which layers normalise as a run's ``normalisation`` says."""
    if statistics == "frozen":
        train_with_frozen_statistics(network)
    else:
        network.train()


def train_with_frozen_statistics(network: nn.Module) -> None:
    """Training mode, but what normalises with statistics of data keeps those it came with.

    A network that works is not thrown off by a batch of few people or by a domain of few images:
    what it computes of one image depends neither on the others of its batch nor on how often a
    domain was drawn. Weights and biases of these layers are trained like all others.
    """
    network.train()
    for module in network.modules():
        if isinstance(module, _NormBase):
            module.eval()
