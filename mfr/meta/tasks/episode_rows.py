"""Which rows of a collection the N-way K-shot tasks of a step see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfr.errors import DataError
from mfr.meta.tasks.draws import Words, distinct, task_words

Rows = NDArray[np.int64]


class EpisodeRows:
    """Draws tasks as rows: random classes for each task, and random images of each class.

    The classes of a task are distinct and in random order, which numbers them from 0 to ways - 1. A
    row appears in a task at most once, either in the support or in the query. Rows are ordered by
    class.

    Args:
        support: the rows of each class.
        query: the rows of each class for the query, if it is to come from other images; by default
            it comes from those rows of ``support`` that the support leaves over.
        tasks: T, tasks in a step.
        ways: classes in a task.
        shots: support images of each class.
        query_shots: query images of each class; may be 0.
        seed: of the run.

    Attributes:
        left_out: how many classes have too few images and are never drawn.
        classes: how many classes are drawn from.

    Raises:
        DataError: fewer than ``ways`` classes have enough images.
    """

    def __init__(
        self,
        support: Sequence[Rows],
        query: Sequence[Rows] | None = None,
        *,
        tasks: int,
        ways: int,
        shots: int,
        query_shots: int,
        seed: int,
    ) -> None:
        if min(tasks, ways, shots) < 1 or query_shots < 0:
            raise ValueError("tasks, ways and shots are at least 1, query_shots at least 0")
        self.tasks, self.ways, self.shots, self.query_shots = tasks, ways, shots, query_shots
        self.seed = seed
        sides = (
            [(support, shots + query_shots)]
            if query is None
            else [(support, shots), (query, query_shots)]
        )
        usable = np.all([[len(rows) >= need for rows in side] for side, need in sides], axis=0)
        self.classes = int(usable.sum())
        self.left_out = len(support) - self.classes
        if self.classes < ways:
            raise DataError(
                f"{self.classes} of {len(support)} classes have images enough for {shots} shots "
                f"and {query_shots} queries, {ways} are needed: add images or classes, or ask "
                "for fewer ways, shots or queries."
            )
        self._pools = [
            _Pool([rows for rows, keep in zip(side, usable, strict=True) if keep], need)
            for side, need in sides
        ]

    def draw(self, step: int, shard: int = 0, shards: int = 1) -> tuple[Rows, Rows]:
        """Rows of the tasks shard, shard + shards, ... of ``step``.

        Returns:
            Support, (T, ways * shots), and query, (T, ways * query_shots).
        """
        ways, each = self.ways, self.shots + self.query_shots
        count = 2 * ways * (1 + each)
        words = task_words(self.seed, step, self.tasks, count, shard=shard, shards=shards)
        tasks = len(words)
        chosen = distinct(words[:, : 2 * ways], np.full(tasks, self.classes), ways)
        rest = words[:, 2 * ways :].reshape(tasks, ways, 2 * each)
        places = np.cumsum([2 * pool.need for pool in self._pools])[:-1]
        drawn = [
            pool.draw(chosen, part)
            for pool, part in zip(self._pools, np.split(rest, places, axis=-1), strict=True)
        ]
        rows = np.concatenate(drawn, axis=-1)
        support, query = rows[..., : self.shots], rows[..., self.shots :]
        # All sizes are explicit, because -1 cannot be inferred in a shard without tasks.
        return (
            support.reshape(tasks, ways * self.shots),
            query.reshape(tasks, ways * self.query_shots),
        )

    def targets(self, tasks: int) -> tuple[Tensor, Tensor]:
        """The classes, 0 to ways - 1 and int64, of what `draw` returns for ``tasks`` tasks."""
        numbers = torch.arange(self.ways)
        support, query = (numbers.repeat_interleave(n) for n in (self.shots, self.query_shots))
        return support.repeat(tasks, 1), query.repeat(tasks, 1)


class _Pool:
    """The rows of all classes end to end, from which ``need`` of a class are drawn at a time."""

    def __init__(self, classes: Sequence[Rows], need: int) -> None:
        self.need = need
        self._rows = np.concatenate(classes)
        self._counts = np.array([len(rows) for rows in classes], np.int64)
        self._first = np.cumsum(self._counts) - self._counts

    def draw(self, classes: NDArray[np.int64], words: Words) -> Rows:
        """(T, ways) classes, (T, ways, 2 * need) words -> (T, ways, need) rows."""
        chosen = distinct(words, self._counts[classes], self.need)
        drawn: Rows = self._rows[self._first[classes][..., None] + chosen]
        return drawn
