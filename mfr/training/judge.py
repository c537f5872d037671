"""A run's judge: what its points make of held-out people of the sources, beside its start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mfr.encoder import Encoder
from mfr.training import guard
from mfr.training.starting import NetworkToTrain
from mfr.training.validation import Judged, Validator, figures

_RESAMPLES: Final = 200
"""Behind the intervals on the way, which decide nothing: about 0.3 s a domain."""


@dataclass(frozen=True)
class Validation:
    """A look at the network on its way.

    Attributes:
        figures: by name: ``DOMAIN/tar`` and ``DOMAIN/auc`` (`mfr.training.validation.figures`) and,
            in a run that has a start, ``DOMAIN/fnmr``. At step 0 ``DOMAIN/fmr`` is the false match
            rate of the latter; later ``DOMAIN/fnmr_change`` is the difference from the start, and
            ``_low`` and ``_high`` are the ends of its 95% interval, where there is one.
        worst: the domain whose FNMR has grown most, by its ratio; None at step 0, without a start
            and without held-out people.
    """

    figures: dict[str, float]
    worst: guard.Known | None = None


@dataclass
class Judge:
    """Judges a run. What its start makes of held-out people is found out once and kept.

    Attributes:
        validator: of the held-out people of the sources.
        built: the network, and what it was.
        seed: of the resamples.
    """

    validator: Validator
    built: NetworkToTrain
    seed: int

    @cached_property
    def start(self) -> Mapping[str, Judged]:
        """What the start makes of them, by domain; empty where a run starts from random weights."""
        return self.judge(self.built.encoder(self.built.start)) if self.built.start else {}

    def judge(self, encoder: Encoder) -> Mapping[str, Judged]:
        """What ``encoder`` makes of them, by domain."""
        return self.validator.judge(encoder)

    def compare(self, judged: Mapping[str, Judged]) -> list[guard.Known]:
        """What is ``judged`` beside the start, as the guard compares it."""
        return guard.compare(self.start, judged, self.seed)

    def relative(self, judged: Mapping[str, Judged]) -> float:
        """How bad the worst domain is of what is ``judged`` (`guard.worst_relative_fnmr`)."""
        return guard.worst_relative_fnmr(self.start, judged)

    def look(self, step: int) -> Validation:
        """Judge the network as it is after ``step`` steps."""
        if step == 0 and self.built.start:  # it is its start
            return Validation(figures(self.start) | _figures_of_start(self.start))
        judged = self.judge(self.built.encoder())
        known = guard.compare(self.start, judged, self.seed, _RESAMPLES)
        relative = guard.relative_fnmr(self.start, judged)
        return Validation(
            figures(judged) | _figures_beside_start(known),
            max(known, key=lambda one: relative[one.domain], default=None),
        )


def _figures_of_start(start: Mapping[str, Judged]) -> dict[str, float]:
    found: dict[str, float] = {}
    for domain, judged in start.items():
        fmr = guard.resolved_fmr(judged)
        found |= {f"{domain}/fmr": fmr, f"{domain}/fnmr": guard.fnmr(judged, fmr)}
    return found


def _figures_beside_start(known: Sequence[guard.Known]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in known:
        found |= {
            f"{one.domain}/fnmr": one.end,
            f"{one.domain}/fnmr_change": one.end - one.start,
        }
        if one.interval is not None:
            low, high = one.interval
            found |= {
                f"{one.domain}/fnmr_change_low": low,
                f"{one.domain}/fnmr_change_high": high,
            }
    return found
