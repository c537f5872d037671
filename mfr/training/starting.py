"""What a run starts from: the people it trains on and the network it trains."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mfr.backbones import backbone_spec, build_backbone
from mfr.config import RunConfig
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.errors import ConfigError, DataError
from mfr.models import load_encoder
from mfr.seen_people import SeenPeople
from mfr.training.methods.network import FaceNetwork

DEFAULT_BACKBONE = "mfr-resnet28"


@dataclass(frozen=True)
class NetworkToTrain:
    """A network, and how to rebuild its backbone.

    Attributes:
        network: with all its parameters trainable.
        backbone: the backbone's name.
        arguments: the backbone's own.
        seen: whom the weights it starts from have seen; None if they are new or do not say.
        start: the backbone's weights before training, copies; empty if they are random.
    """

    network: FaceNetwork
    backbone: str
    arguments: dict[str, Any]
    seen: SeenPeople | None = None
    start: dict[str, Tensor] = field(default_factory=dict)

    def encoder(self, weights: Mapping[str, Tensor] | None = None, **summary: Any) -> Encoder:
        """The encoder that the network is now, or is with other ``weights`` of its backbone.

        ``summary`` goes into its record.
        """
        return Encoder.from_weights(
            {
                name: value.detach().to("cpu", copy=True)
                for name, value in (weights or self.network.backbone.state_dict()).items()
            },
            self.backbone,
            arguments=self.arguments,
            device=next(self.network.parameters()).device,
            **summary,
        )


def initial_network(config: RunConfig, seed: int) -> NetworkToTrain:
    """The network to start from: with the weights of ``config.init``, or drawn by ``seed``.

    Raises:
        ModelError: there is no such backbone, or the weights cannot be read.
        ConfigError: a pattern of what is frozen names nothing, or all is frozen.
    """
    torch.manual_seed(seed)
    seen, start = None, {}
    if config.init is None:
        name = config.backbone or DEFAULT_BACKBONE
        network, arguments, geometry = build_backbone(name), {}, backbone_spec(name).geometry
    else:
        encoder = load_encoder(str(config.init), backbone=config.backbone)
        record = encoder.record
        network, name, arguments = encoder.network, record.backbone, record.arguments
        geometry, seen = record.geometry, record.seen
        start = {name: value.detach().clone() for name, value in network.state_dict().items()}
    precision: torch.dtype = getattr(torch, config.precision)
    network.requires_grad_(True)
    _freeze(network, config.frozen)
    trainable = FaceNetwork(network, geometry, precision)
    return NetworkToTrain(trainable, name, arguments, seen, start)


def _freeze(network: nn.Module, patterns: Sequence[str]) -> None:
    parameters = dict(network.named_parameters())
    for pattern in patterns:
        matched = fnmatch.filter(parameters, pattern)
        if not matched:
            raise ConfigError(
                f"Nothing in the backbone is called '{pattern}': under frozen name some of "
                f"{', '.join(sorted({name.partition('.')[0] for name in parameters}))}, with * for "
                "what follows."
            )
        for name in matched:
            parameters[name].requires_grad_(False)
    if not any(p.requires_grad for p in parameters.values()):
        raise ConfigError(
            "The whole backbone is frozen, so there is nothing to train: freeze less."
        )


def training_people(manifest: Manifest, config: RunConfig) -> Manifest:
    """The rows with crops of the people to train on.

    Raises:
        DataError: the dataset is not split, or a source domain has no aligned images to train on.
    """
    if not any(manifest.column("split")):
        raise DataError(f"{config.data} is not split yet: run 'mfr data split {config.data}'.")
    people = manifest.where(splits=["train"], cropped=True)
    for domain in config.sources:
        if domain not in people.domains:
            every = manifest.where(splits=["train"])
            why = (
                every.where(domains=[domain]).why_no_crops()
                if domain in every.domains
                else "none of its people is on the training side, so split again"
            )
            raise DataError(f"The domain '{domain}' has no aligned training images: {why}.")
    return people
