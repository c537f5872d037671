"""The guard of a run: a tuned network may not be worse where the one it came from already worked.

Held-out people of every source domain judge points on the way from the start to the result. The
point whose worst domain is best is the model; where it is worse than the start on a domain, beyond
the interval of the paired difference, there is no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mfr.benchmark import paired
from mfr.benchmark.metrics import operating_points
from mfr.training.validation import Judged

_RESAMPLES: Final = 500
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


def worst_relative_fnmr(start: Mapping[str, Judged], other: Mapping[str, Judged]) -> float:
    """The largest ratio, over domains, of the other's FNMR to the start's.

    Half an error is added to both, so that a domain without errors has a ratio.
    """
    ratios = [1.0] if not start else []
    for domain, before in start.items():
        fmr = _resolved(before)
        half = 0.5 / len(before.compared.mated.scores)
        ratios.append((_fnmr(other[domain], fmr) + half) / (_fnmr(before, fmr) + half))
    return max(ratios)


def compare(start: Mapping[str, Judged], end: Mapping[str, Judged], seed: int) -> list[Known]:
    """What became of each domain, with the paired intervals."""
    found = []
    for domain, before in start.items():
        after, fmr = end[domain], _resolved(before)
        differences = paired.differences(
            after.compared, before.compared, before.persons, seed=seed, resamples=_RESAMPLES
        )
        interval = next(one.interval for one in differences if one.key == f"tar@fmr={fmr:g}")
        found.append(
            Known(
                domain,
                fmr,
                _fnmr(before, fmr),
                _fnmr(after, fmr),
                None if interval is None else (-interval[1], -interval[0]),
            )
        )
    return found


def _resolved(judged: Judged) -> float:
    """The lowest false match rate that enough comparisons stand behind."""
    nonmated = len(judged.compared.nonmated.scores)
    return next((fmr for fmr in reversed(paired.FMRS) if nonmated * fmr >= _ERRORS), paired.FMRS[0])


def _fnmr(judged: Judged, fmr: float) -> float:
    return 1 - float(operating_points(judged.scores, [fmr]).tar[0])
