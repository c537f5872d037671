"""One step of a run: rates, mode, tasks with their random numbers, the outer step, the average."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import torch

from mfr.config import RunConfig
from mfr.meta.functional import Task
from mfr.meta.learner import MetaLearner
from mfr.random_bits import RandomBits
from mfr.training.averaging import AveragedWeights
from mfr.training.distributed import ALONE, Processes
from mfr.training.methods.method import Method, StepData
from mfr.training.methods.network import FaceNetwork
from mfr.training.normalisation import train_with
from mfr.training.optimiser import set_rate
from mfr.training.rates import halvings, rate_factor

NETWORK_STREAM: Final = 200
"""Keeps the network's own randomness (dropout) apart from what the samplers draw."""


@dataclass(frozen=True)
class Stepper:
    """What takes the steps of a run.

    Attributes:
        config: of the run.
        method: attached to the network.
        network: what is trained.
        optimiser: over the network's parameters.
        average: the mean of the weights along the run, from where the run asks for it.
        group: the processes that train together.
    """

    config: RunConfig
    method: Method
    network: FaceNetwork
    optimiser: torch.optim.Optimizer
    average: AveragedWeights = field(default_factory=AveragedWeights)
    group: Processes = ALONE

    def take(self, done: int, data: StepData) -> dict[str, float]:
        """The step after ``done`` steps.

        Args:
            done: how many steps are done.
            data: what the method prepared for this one.

        Returns:
            The losses by name, the gradient's norm, and as ``beta`` the outer rate.

        Raises:
            TrainingError: a loss or the gradient is NaN or infinite.
        """
        config = self.config
        decays = halvings(config, done)
        beta = config.beta * rate_factor(config, done)
        set_rate(self.optimiser, beta)
        train_with(self.network, config.normalisation)
        learner = MetaLearner(
            self.network,
            self.method.rule(decays),
            self.optimiser,
            clip=config.clip,
            all_reduce=None if self.group.size == 1 else self.group.all_reduce,
        )
        values = learner.step(self._seeded(self.method.tasks(self.network, data, decays), done))
        # After every step, so that running statistics too are a function of the step alone.
        self.group.average(self.network.buffers())
        self.method.after_step(self.network, done + 1)
        if config.average_from is not None and done + 1 > config.average_from * config.steps:
            self.average.add(self.network.backbone)
        return {**values, "beta": beta}

    def _seeded(self, tasks: Iterable[Task], done: int) -> Iterator[Task]:
        """The tasks, each with its own random numbers (dropout), whichever process has it."""
        for number, task in zip(count(self.group.rank, self.group.size), tasks, strict=False):
            bits = RandomBits(self.config.seed, done, number, NETWORK_STREAM)
            torch.manual_seed(bits.seed())
            yield task
