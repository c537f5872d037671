"""Few-shot tasks over people: whose face is it, within a domain or across two domains?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.errors import DataError
from mfr.meta.tasks.batch import TaskBatch
from mfr.meta.tasks.episode_rows import EpisodeRows, Rows


def unit_pixels(crops: Tensor) -> Tensor:
    """(N, h, w, 3) uint8 -> (N, 3, h, w) float32 in [0, 1]."""
    return crops.permute(0, 3, 1, 2).float().div_(255)


class FaceEpisodes:
    """N-way K-shot tasks whose classes are people.

    A class is a person, not an identity: someone who appears in a domain under two names is one
    class. Across domains the people are those of both domains: their support comes from one and
    their query from the other.

    Args:
        manifest: rows with crops, already of one split.
        crops: the crops of the same rows.
        domain: the domain of the support.
        query_domain: the domain of the query; None means other images of ``domain``.
        tasks: T, tasks in a step.
        ways: people in a task.
        shots: support crops of each person.
        query_shots: query crops of each person; may be 0.
        seed: of the run.
        prepare: turns (N, 112, 112, 3) uint8 RGB crops into the network's input, for example
            ``partial(network_input, geometry=...)``.

    Attributes:
        left_out: how many people have too few crops and are never drawn.

    Raises:
        DataError: a domain is unknown, or fewer than ``ways`` people have enough crops.
    """

    def __init__(
        self,
        manifest: Manifest,
        crops: CropStore,
        domain: str,
        query_domain: str | None = None,
        *,
        tasks: int,
        ways: int,
        shots: int,
        query_shots: int,
        seed: int,
        prepare: Callable[[Tensor], Tensor] = unit_pixels,
    ) -> None:
        support = _rows_by_person(manifest, domain)
        if query_domain in (None, domain):
            people, query = sorted(support), None
        else:
            elsewhere = _rows_by_person(manifest, query_domain)
            people = sorted(support.keys() & elsewhere.keys())
            query = [elsewhere[person] for person in people]
        self._episodes = EpisodeRows(
            [support[person] for person in people],
            query,
            tasks=tasks,
            ways=ways,
            shots=shots,
            query_shots=query_shots,
            seed=seed,
        )
        self.left_out = self._episodes.left_out
        self._crops, self._prepare = crops, prepare

    def batch(self, step: int, shard: int = 0, shards: int = 1) -> TaskBatch:
        """The tasks shard, shard + shards, ... of ``step``, ordered by person.

        Inputs are (T, ways * shots or query_shots, ...), as ``prepare`` returns them; targets are
        int64.

        Raises:
            DataError: a crop is missing or damaged.
        """
        support, query = self._episodes.draw(step, shard, shards)
        support_targets, query_targets = self._episodes.targets(len(support))
        rows = np.concatenate([support, query], axis=1)
        crops = torch.from_numpy(self._crops[rows.ravel()])
        inputs = self._prepare(crops).unflatten(0, rows.shape)
        n = support.shape[1]
        return TaskBatch(inputs[:, :n], support_targets, inputs[:, n:], query_targets)


def _rows_by_person(manifest: Manifest, domain: str) -> dict[str, Rows]:
    """Each person's rows, in the order of paths, so that the manifest's row order is irrelevant."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    columns = (manifest.column(name) for name in ("domain", "person", "path"))
    for row, (its_domain, person, path) in enumerate(zip(*columns, strict=True)):
        if its_domain == domain:
            found[person].append((path, row))
    if not found:
        raise DataError(
            f"There are no images of the domain '{domain}' in this selection of {manifest.root}: "
            f"name one of {', '.join(manifest.domains) or 'another dataset'}."
        )
    return {person: np.array([row for _, row in sorted(rows)]) for person, rows in found.items()}
