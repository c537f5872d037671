"""Validation during training: verification of held-out people of each source domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.comparisons import Compared, compare_all
from mfr.benchmark.metrics import Scores, auc, operating_points
from mfr.data.loading import load_crops
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.random_bits import RandomBits

FMR: Final = 0.01
"""The false match rate at which validation reports TAR; a few hundred people resolve it."""
_IMAGES: Final = 600
# Keeps these draws apart from the samplers' and the network's.
_STREAM: Final = 300


@dataclass(frozen=True)
class Judged:
    """A domain's held-out people, compared by one network.

    Attributes:
        compared: all pairs of their images.
        persons: (n,) the person of each image, numbered from 0.
    """

    compared: Compared
    persons: NDArray[np.int32]

    @cached_property
    def scores(self) -> Scores:
        """The scores of mated and of non-mated pairs."""
        return Scores.of(self.compared.mated.scores, self.compared.nonmated.scores)


class Validator:
    """Verifies held-out people, whose crops it keeps in memory from one validation to the next.

    Of a domain with more than 600 images it takes 600: those of people drawn by ``seed``, who have
    two images or more. Domains that have no mated or no non-mated pair of them are left out.

    Args:
        people: the rows with crops of the held-out people.
        seed: of the run.
    """

    def __init__(self, people: Manifest, seed: int) -> None:
        self._crops: dict[str, NDArray[np.uint8]] = {}
        self._persons: dict[str, NDArray[np.int32]] = {}
        for number, domain in enumerate(people.domains):
            rows = people.where(domains=[domain])
            persons = np.unique(rows.column("person"), return_inverse=True)[1].astype(np.int32)
            chosen = _chosen(persons, RandomBits(seed, number, 0, _STREAM))
            if len(np.unique(persons[chosen])) > 1:
                self._crops[domain] = load_crops(replace(rows, table=rows.table.take(chosen)))
                self._persons[domain] = np.unique(persons[chosen], return_inverse=True)[1].astype(
                    np.int32
                )

    def judge(self, encoder: Encoder) -> dict[str, Judged]:
        """All pairs of each domain's images, compared by ``encoder``."""
        return {
            domain: Judged(
                compare_all(encoder.embed(crops), self._persons[domain]), self._persons[domain]
            )
            for domain, crops in self._crops.items()
        }


def figures(judged: Mapping[str, Judged]) -> dict[str, float]:
    """``DOMAIN/tar`` at an FMR of 1% and ``DOMAIN/auc``."""
    found = {}
    for domain, one in judged.items():
        found[f"{domain}/tar"] = float(operating_points(one.scores, [FMR]).tar[0])
        found[f"{domain}/auc"] = auc(one.scores)
    return found


def _chosen(persons: NDArray[np.int32], bits: RandomBits) -> NDArray[np.int64]:
    """The rows to compare: of people with two images or more, as many people as fit."""
    people, counts = np.unique(persons, return_counts=True)
    people, counts = people[counts > 1], counts[counts > 1]
    order = bits.order(len(people))
    fitting = np.cumsum(counts[order]) <= max(_IMAGES, counts[order[:2]].sum())
    return np.flatnonzero(np.isin(persons, people[order[fitting]]))
