"""The guard of int8: an exported model may not tell people apart worse than its source does.

Both embed the same test people of each domain, and all pairs are compared. Three rates may not be
worse than the source's beyond the interval of the paired difference, over people: the share of one
person's pairs that match where each has a false match rate of 0.1%, and both shares of mistakes at
the source's threshold, because it is with the source's thresholds that an exported model decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import bootstrap
from mfr.benchmark.comparisons import Compared, compare_all, resampled
from mfr.benchmark.embedding import by_path, numbered, take_rows
from mfr.benchmark.metrics import Roc, Scores, operating_points
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


class Change(NamedTuple):
    """A rate, 0 to 1, of the source and of what was made of it.

    Attributes:
        source: the source's; ``exported``: that of what was made of it.
        interval: the 95% interval of ``exported - source``, over people.
    """

    source: float
    exported: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        """Words such as '94.2% instead of 95.1%, -1.30 to -0.50 points'."""
        low, high = (f"{100 * one:+.2f}" for one in self.interval)
        return f"{self.exported:.2%} instead of {self.source:.2%}, {low} to {high} points"


@dataclass(frozen=True)
class Judged:
    """What became of one domain's test people.

    Attributes:
        domain: its name.
        people: how many they are; ``images``: of theirs.
        tar: true accept rate, each at its own threshold for `FMR`.
        fnmr: false-non-match rate at the source's threshold for `FMR`.
        fmr: false match rate there.
    """

    domain: str
    people: int
    images: int
    tar: Change
    fnmr: Change
    fmr: Change

    @property
    def worse(self) -> bool:
        """Whether the exported model is worse beyond an interval."""
        mistakes = (self.fnmr.interval[0], self.fmr.interval[0])
        return self.tar.interval[1] < 0 or max(mistakes) > 0

    def __str__(self) -> str:
        """Clauses such as 'lfw: at an FMR of 0.1%, TAR 94.2% instead of ...; ...'."""
        return (
            f"{self.domain}: at an FMR of {FMR:.1%}, TAR {self.tar}; at the model's threshold for "
            f"it, FNMR {self.fnmr}; FMR {self.fmr}"
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
                f"{bootstrap.FEWEST_PEOPLE} or more, of {_FEWEST:.0f} pairs or more of "
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
        people = len(np.unique(persons))
        drawn = bootstrap.draw_multiplicities(people, resamples=RESAMPLES, seed=self._seed)
        own = [_own(one) for one in (before, after)]
        threshold = own[0].thresholds[0]
        tars = [resampled(one, persons, drawn, [FMR]).tar[:, 0] for one in (before, after)]
        missed = [one.mated.scores < threshold for one in (before, after)]
        matched = [one.nonmated.scores >= threshold for one in (before, after)]
        mated, pairs = persons[before.mated.first], before.nonmated
        misses = [bootstrap.resample_shares(one, mated, drawn) for one in missed]
        matches = bootstrap.resample_pair_shares(
            np.stack(matched), (persons[pairs.first], persons[pairs.second]), drawn
        )
        return Judged(
            domain,
            people,
            len(persons),
            tar=_change([float(one.tar[0]) for one in own], np.stack(tars)),
            fnmr=_change([float(one.mean()) for one in missed], np.stack(misses)),
            fmr=_change([float(one.mean()) for one in matched], matches),
        )


def _own(compared: Compared) -> Roc:
    scores = Scores.of(compared.mated.scores, compared.nonmated.scores)
    return operating_points(scores, [FMR])


def _change(rates: Sequence[float], drawn: NDArray[np.float64]) -> Change:
    """Of the rates of both, the source's first, and theirs in each resample, (2, r)."""
    interval = bootstrap.percentile_interval(drawn[1] - drawn[0])
    assert interval is not None  # there are enough people
    return Change(rates[0], rates[1], interval)


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
    return with_pairs < bootstrap.FEWEST_PEOPLE or pairs - mated < _FEWEST
