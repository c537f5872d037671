"""Sinusoid regression (MAML, Finn et al. 2017, section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Final

import numpy as np
import torch

from mfr.meta.tasks.batch import TaskBatch
from mfr.meta.tasks.draws import task_words, uniform

AMPLITUDES: Final = (0.1, 5.0)
PHASES: Final = (0.0, pi)
INPUTS: Final = (-5.0, 5.0)


@dataclass(frozen=True)
class Sinusoids:
    """Tasks y = A sin(x - p), with amplitude A, phase p and every x uniform in the paper's ranges.

    The paper gives the ranges only; the sign of p is that of its authors' code.

    Attributes:
        tasks: T, tasks in a step.
        shots: n, support points of each task.
        query_shots: m, query points of each task.
        seed: of the run.
    """

    tasks: int
    shots: int
    query_shots: int
    seed: int

    def batch(self, step: int, shard: int = 0, shards: int = 1) -> TaskBatch:
        """The tasks shard, shard + shards, ... of ``step``; inputs and targets (T, n or m, 1)."""
        count = 2 + self.shots + self.query_shots
        words = task_words(self.seed, step, self.tasks, count, shard=shard, shards=shards)
        amplitude = uniform(words[:, :1], *AMPLITUDES)
        phase = uniform(words[:, 1:2], *PHASES)
        x = uniform(words[:, 2:], *INPUTS)
        y = amplitude * np.sin(x - phase)
        inputs, targets = (torch.from_numpy(a.astype(np.float32)).unsqueeze(-1) for a in (x, y))
        n = self.shots
        return TaskBatch(inputs[:, :n], targets[:, :n], inputs[:, n:], targets[:, n:])
