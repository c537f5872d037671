"""The guard of a run: a tuned network may not be worse where the one it came from already worked.

Held-out people of every source domain, also in the conditions that the run simulates, judge points
on the way from the start to the result. The point whose worst domain is best is the model; where it
is worse than the start on a domain, beyond the interval of the paired difference, there is no
model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mfr.benchmark import paired
from mfr.benchmark.metrics import operating_points
from mfr.training.validation import Judged

RESAMPLES: Final = 500
"""Behind the intervals that decide whether there is a model."""
_ERRORS: Final = 10
"""A false match rate is compared where so many false matches stand behind it."""


@dataclass(frozen=True)
class Known:
    """What became of one domain that the start knew.

    Attributes:
        domain: its name.
        fmr: the false match rate at which both were judged, each at its own threshold.
        start: the start's FNMR there, 0 to 1.
        end: the model's.
        interval: the 95% interval of ``end - start``, over people; None with too few of them.
    """

    domain: str
    fmr: float
    start: float
    end: float
    interval: tuple[float, float] | None

    @property
    def worse(self) -> bool:
        """Whether the model is worse beyond the interval."""
        return self.interval is not None and self.interval[0] > 0

    def __str__(self) -> str:
        """A clause such as 'yaleb: FNMR 12.0% instead of 8.0% at an FMR of 0.001'."""
        rates = f"{self.end:.1%} instead of {self.start:.1%}"
        return f"{self.domain}: FNMR {rates} at an FMR of {self.fmr:g}"


def relative_fnmr(start: Mapping[str, Judged], other: Mapping[str, Judged]) -> dict[str, float]:
    """The ratio of the other's FNMR to the start's on each domain.

    Half an error is added to both, so that a domain without errors has a ratio.
    """
    ratios = {}
    for domain, before in start.items():
        fmr = resolved_fmr(before)
        half = 0.5 / len(before.compared.mated.scores)
        ratios[domain] = (fnmr(other[domain], fmr) + half) / (fnmr(before, fmr) + half)
    return ratios


def worst_relative_fnmr(start: Mapping[str, Judged], other: Mapping[str, Judged]) -> float:
    """The largest of the ratios of `relative_fnmr`; 1 without domains."""
    return max(relative_fnmr(start, other).values(), default=1.0)


def compare(
    start: Mapping[str, Judged],
    end: Mapping[str, Judged],
    seed: int,
    resamples: int = RESAMPLES,
) -> list[Known]:
    """What became of each domain, with the paired intervals.

    Args:
        start: what the start made of held-out people, by domain.
        end: what is judged beside it, of the same domains.
        seed: of the resamples of people.
        resamples: how many there are.
    """
    found = []
    for domain, before in start.items():
        after, fmr = end[domain], resolved_fmr(before)
        differences = paired.differences(
            after.compared, before.compared, before.persons, seed=seed, resamples=resamples
        )
        interval = next(one.interval for one in differences if one.key == f"tar@fmr={fmr:g}")
        found.append(
            Known(
                domain,
                fmr,
                fnmr(before, fmr),
                fnmr(after, fmr),
                None if interval is None else (-interval[1], -interval[0]),
            )
        )
    return found


def resolved_fmr(judged: Judged) -> float:
    """The lowest false match rate that enough comparisons stand behind."""
    nonmated = len(judged.compared.nonmated.scores)
    return next((fmr for fmr in reversed(paired.FMRS) if nonmated * fmr >= _ERRORS), paired.FMRS[0])


def fnmr(judged: Judged, fmr: float) -> float:
    """The false non-match rate at the threshold of a false match rate, 0 to 1."""
    return 1 - float(operating_points(judged.scores, [fmr]).tar[0])
