"""The guard of int8: an exported model may not tell people apart worse than its source does.

Both embed the same test people of each domain, and all pairs are compared. The share of one
person's pairs that match at a false match rate of 0.1% is compared within resamples of people;
where it falls beyond the interval of the paired difference, the export is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import paired
from mfr.benchmark.comparisons import Compared, compare_all
from mfr.benchmark.embedding import by_path, numbered, take_rows
from mfr.benchmark.metrics import Scores, operating_points
from mfr.data.loading import load_crops
from mfr.data.manifest import Manifest
from mfr.errors import DataError
from mfr.exporting.parity import Embed

FMR: Final = 0.001
RESAMPLES: Final = 500
_MOST: Final = 4000
"""Images of a domain at most: 8 million pairs."""
_FEWEST: Final = 10 / FMR
"""Pairs of different people, for ten of them to match at `FMR`."""


@dataclass(frozen=True)
class Judged:
    """What became of one domain's test people.

    Attributes:
        domain: its name.
        people: how many they are; ``images``: of theirs.
        source: the source's TAR at `FMR`, 0 to 1; ``exported``: that of what was made of it, at its
            own threshold.
        interval: the 95% interval of ``exported - source``, over people.
    """

    domain: str
    people: int
    images: int
    source: float
    exported: float
    interval: tuple[float, float]

    @property
    def worse(self) -> bool:
        """Whether the exported model is worse beyond the interval."""
        return self.interval[1] < 0

    def __str__(self) -> str:
        """A clause such as 'lfw: TAR 94.2% instead of 95.1% at an FMR of 0.1%'."""
        low, high = (f"{100 * one:+.2f}" for one in self.interval)
        return (
            f"{self.domain}: TAR {self.exported:.2%} instead of {self.source:.2%} at an FMR of "
            f"{FMR:.1%}, difference {low} to {high} points"
        )


class Guard:
    """The test people of a dataset, embedded by a source model.

    Args:
        source: what embeds with the source model.
        dataset: the people's.
        seed: of the choice of people and of the resamples.

    Raises:
        DataError: no domain has enough test people to judge by.
    """

    def __init__(self, source: Embed, dataset: Manifest, *, seed: int = 0) -> None:
        self._seed = seed
        self._domains: dict[str, tuple[NDArray[np.uint8], NDArray[np.int32], Compared]] = {}
        for domain in dataset.domains:
            rows = _some(
                by_path(dataset.where(domains=[domain], splits=["test"], cropped=True)), seed
            )
            persons = numbered(rows.column("person"))
            if _too_few(persons):
                continue
            crops = load_crops(rows)
            self._domains[domain] = crops, persons, compare_all(source(crops), persons)
        if not self._domains:
            raise DataError(
                f"{dataset.root} has too few test people to judge int8 by: give a dataset with "
                f"{paired.bootstrap.FEWEST_PEOPLE} or more, of {_FEWEST:.0f} pairs or more of "
                "different people in one domain."
            )

    def judge(self, embed: Embed) -> list[Judged]:
        """What ``embed`` makes of the people of each domain, beside what the source does."""
        return [
            self._judged(domain, compare_all(embed(crops), persons), before, persons)
            for domain, (crops, persons, before) in self._domains.items()
        ]

    def _judged(
        self, domain: str, after: Compared, before: Compared, persons: NDArray[np.int32]
    ) -> Judged:
        differences = paired.differences(
            after, before, persons, seed=self._seed, resamples=RESAMPLES
        )
        interval = next(one.interval for one in differences if one.key == f"tar@fmr={FMR:g}")
        assert interval is not None  # there are enough people
        people = len(np.unique(persons))
        return Judged(domain, people, len(persons), _tar(before), _tar(after), interval)


def _tar(compared: Compared) -> float:
    scores = Scores.of(compared.mated.scores, compared.nonmated.scores)
    return float(operating_points(scores, [FMR]).tar[0])


def _some(rows: Manifest, seed: int) -> Manifest:
    """All images of as many people as have `_MOST` or fewer, in the order of the rows."""
    persons = numbered(rows.column("person"))
    if len(persons) <= _MOST:
        return rows
    order = np.random.default_rng(seed).permutation(persons.max() + 1)
    total = np.cumsum(np.bincount(persons)[order])
    chosen = order[total <= _MOST]
    return take_rows(rows, np.flatnonzero(np.isin(persons, chosen)).tolist())


def _too_few(persons: NDArray[np.int32]) -> bool:
    counts = np.bincount(persons)
    mated = int((counts * (counts - 1) // 2).sum())
    pairs = len(persons) * (len(persons) - 1) // 2
    with_pairs = int((counts > 1).sum())
    return with_pairs < paired.bootstrap.FEWEST_PEOPLE or pairs - mated < _FEWEST
