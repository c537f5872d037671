"""Few-shot classification tasks over classes of images that are held in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mfr.meta.tasks.batch import TaskBatch
from mfr.meta.tasks.episode_rows import EpisodeRows, Rows


class FewShotEpisodes:
    """N-way K-shot tasks: pixels are float32 in [0, 1], classes are numbered anew in every task.

    Args:
        classes: uint8 images: (C, M, channels, h, w) if all classes have equally many, else a list
            of (M_i, channels, h, w). A class with fewer than shots + query_shots images is left
            out.
        tasks: T, tasks in a step.
        ways: classes in a task.
        shots: support images of each class.
        query_shots: query images of each class; may be 0.
        seed: of the run.

    Attributes:
        left_out: how many classes were left out.

    Raises:
        DataError: fewer than ``ways`` classes have enough images.
    """

    def __init__(
        self,
        classes: Tensor | Sequence[Tensor],
        *,
        tasks: int,
        ways: int,
        shots: int,
        query_shots: int,
        seed: int,
    ) -> None:
        ends = np.cumsum([len(images) for images in classes])
        self._episodes = EpisodeRows(
            [np.arange(end - len(images), end) for end, images in zip(ends, classes, strict=True)],
            tasks=tasks,
            ways=ways,
            shots=shots,
            query_shots=query_shots,
            seed=seed,
        )
        self.left_out = self._episodes.left_out
        self._images = (
            classes.flatten(0, 1) if isinstance(classes, Tensor) else torch.cat([*classes])
        )

    def batch(self, step: int, shard: int = 0, shards: int = 1) -> TaskBatch:
        """The tasks shard, shard + shards, ... of ``step``.

        Inputs are (T, ways * shots or query_shots, channels, h, w), targets int64 in the same
        order: all images of class 0, then of class 1, and so on.
        """
        rows = self._episodes.draw(step, shard, shards)
        support_targets, query_targets = self._episodes.targets(len(rows[0]))
        support, query = (self._gather(side) for side in rows)
        return TaskBatch(support, support_targets, query, query_targets)

    def _gather(self, rows: Rows) -> Tensor:
        images = self._images.index_select(0, torch.from_numpy(rows).flatten())
        return images.float().div_(255).unflatten(0, rows.shape)
