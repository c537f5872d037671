"""One run of the study: a network tuned from the start by one method, without the trainer's files.

It takes the trainer's own steps (`mfr.training`), but keeps crops in memory from one run to the
next and leaves out what every run would repeat: validation, checkpoints and calibration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.data.sampling import IdentityPool
from mfr.data.simulated import SimulatedCrops, with_simulated
from mfr.training.methods.building import build_method
from mfr.training.optimiser import make_optimiser
from mfr.training.starting import NetworkToTrain, initial_network, training_people
from mfr.training.stepping import Stepper

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Tuned:
    """What a run made.

    Attributes:
        built: the network, with its weights at the end, and those of the start.
        average: the mean of the weights along the run.
        losses: of the last step.
    """

    built: NetworkToTrain
    average: Weights
    losses: dict[str, float]

    @property
    def start(self) -> Weights:
        """The weights before training."""
        return self.built.start

    @property
    def last(self) -> Weights:
        """The weights after the last step."""
        return _on_cpu(self.built.network.backbone.state_dict())


@lru_cache(maxsize=1)
def _material(
    data: str, sources: tuple[str, ...], simulate: tuple[str, ...]
) -> tuple[IdentityPool, CropStore]:
    manifest = Manifest.read(data).where(domains=sources)
    config = RunConfig.model_validate({"data": data, "sources": list(sources)})
    drawn = with_simulated(training_people(manifest, config), simulate)
    return IdentityPool(drawn.manifest, [*sources, *drawn.domains]), SimulatedCrops(drawn, 2**33)


def tune(values: dict[str, Any]) -> Tuned:
    """Train as ``values``, of a `RunConfig`, say."""
    config = RunConfig.model_validate(values)
    pool, store = _material(str(config.data), tuple(config.sources), tuple(config.simulate))
    method = build_method(config, pool, store)
    built = initial_network(config, config.seed)
    network = built.network.to(config.device)
    method.attach(network)
    stepper = Stepper(config, method, network, make_optimiser(config, network))
    losses: dict[str, float] = {}
    for step in range(config.steps):
        losses = stepper.take(step, method.prepare(step))
    return Tuned(built, _on_cpu(stepper.average.weights or network.backbone.state_dict()), losses)


def _on_cpu(weights: Weights) -> Weights:
    return {name: value.cpu() for name, value in weights.items()}
