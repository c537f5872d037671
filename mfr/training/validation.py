"""Validation during training: verification of held-out people of each source domain.

Where a run draws conditions on its sources, its held-out people are verified in these too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.comparisons import Compared, compare_all
from mfr.benchmark.metrics import Scores, auc, operating_points
from mfr.data.manifest import Manifest
from mfr.data.simulated import SimulatedCrops, with_simulated
from mfr.encoder import Encoder
from mfr.random_bits import RandomBits

FMR: Final = 0.01
"""The false match rate at which validation reports TAR; a few hundred people resolve it."""
_IMAGES: Final = 600
_MEMORY: Final = 2**30  # bytes for the crops that are drawn on, while they are
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

    On the images taken of all domains each condition is drawn, once and as `mfr data simulate`
    draws it with seed 0; 600 of these again are the domain that a run calls 'simulated:CONDITION'.

    Args:
        people: the rows with crops of the held-out people.
        seed: of the run.
        simulate: names in `mfr.simulation.CONDITIONS`.

    Raises:
        ConfigError: there is no such condition, or one is named twice.
        DataError: a crop is missing, or a domain has the name of a simulated one.
    """

    def __init__(self, people: Manifest, seed: int, simulate: Sequence[str] = ()) -> None:
        self._seed = seed
        self._crops: dict[str, NDArray[np.uint8]] = {}
        self._persons: dict[str, NDArray[np.int32]] = {}
        taken = [self._chosen(people, *one) for one in enumerate(people.domains)]
        rows = np.concatenate([np.empty(0, np.int64), *taken])
        drawn = with_simulated(replace(people, table=people.table.take(rows)), simulate)
        crops = SimulatedCrops(drawn, _MEMORY)
        first = 0
        for domain, there in zip(people.domains, taken, strict=True):
            self._keep(domain, drawn.manifest, crops, np.arange(first, first + len(there)))
            first += len(there)
        for number, domain in enumerate(drawn.domains, len(people.domains)):
            self._keep(domain, drawn.manifest, crops, self._chosen(drawn.manifest, number, domain))

    def _chosen(self, people: Manifest, number: int, domain: str) -> NDArray[np.int64]:
        """The rows to compare of a domain, in the order of ``people``; its number seeds them."""
        rows = np.flatnonzero(np.array(people.column("domain"), object) == domain)
        persons = np.array(people.column("person"), object)[rows]
        bits = RandomBits(self._seed, number, 0, _STREAM)
        return rows[_chosen(np.unique(persons, return_inverse=True)[1].astype(np.int32), bits)]

    def _keep(
        self, domain: str, people: Manifest, crops: SimulatedCrops, rows: NDArray[np.int64]
    ) -> None:
        persons = np.array(people.column("person"), object)[rows]
        if len(set(persons)) > 1:
            self._crops[domain] = crops[rows]
            self._persons[domain] = np.unique(persons, return_inverse=True)[1].astype(np.int32)

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
