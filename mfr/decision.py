"""One comparison judged: a score, the threshold it is held against, and the risk that entails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mfr.errors import ConfigError, ModelError

if TYPE_CHECKING:  # pydantic takes time to import; nothing here needs it at run time.
    from mfr.conditions import Basis, Calibrations

DEFAULT_FMR: Final = 1e-3
"""The false-match rate at which a comparison is judged unless another is asked for."""


@dataclass(frozen=True)
class Measured:
    """Where the rates of a decision were measured.

    Attributes:
        condition: what the compared faces were like; empty if the calibration does not say.
        source: the domains and split.
        people: how many people they were of.
        comparisons: how many comparisons of two different people there were.
        fmr_interval: the 95% interval of the decision's false-match rate, over people; None if it
            was not measured.
        lowest_fmr: the lowest false-match rate that could be told.
    """

    condition: str
    source: str
    people: int
    comparisons: int
    fmr_interval: tuple[float, float] | None
    lowest_fmr: float


@dataclass(frozen=True)
class Decision:
    """Whether two faces are taken to be the same person.

    Attributes:
        match: ``score >= threshold``.
        score: cosine similarity, -1 to 1; of several probes the mean.
        threshold: the score from which on two faces match, -1 to 1.
        fmr: the false-match rate measured at that threshold: the share of comparisons of two
            different people that reach it. None when the threshold was given and the model has no
            calibration.
        fnmr: the false-non-match rate measured there: the share of comparisons of one person with
            themselves that do not reach it. None where it was not measured.
        score_fmr: the share of comparisons of two different people that reach this score, which
            tells what the score is worth: 1e-6 is one in a million. At least the lowest rate that
            was measured; None without a calibration.
        measured: where these rates were measured; None without a calibration.
        warnings: what makes the decision less reliable, such as a small face; a sentence each.
        quality: how good the face is, for each photograph.
        conditions: the condition that each face was taken for, the photographs' before that of the
            nearest template; `mfr.conditions.UNLIKE` for none, None where it cannot be told.
    """

    match: bool
    score: float
    threshold: float
    fmr: float | None
    fnmr: float | None = None
    score_fmr: float | None = None
    measured: Measured | None = None
    warnings: tuple[str, ...] = ()
    quality: tuple[Any, ...] = ()
    conditions: tuple[str | None, ...] = ()


def choose_threshold(basis: Basis | None, fmr: float, threshold: float | None) -> float:
    """``threshold`` if one is given, else the one calibrated for a false-match rate of ``fmr``.

    Raises:
        ConfigError: ``fmr`` is not in (0, 1] or ``threshold`` not in [-1, 1].
        ModelError: no threshold was given and the model has no calibration, or one too coarse.
    """
    if threshold is not None:
        if not (math.isfinite(threshold) and -1 <= threshold <= 1):
            raise ConfigError(
                f"A threshold of {threshold:g} is not a cosine: use -1 <= --threshold <= 1."
            )
        return threshold
    if not 0 < fmr <= 1:
        raise ConfigError(f"A false-match rate of {fmr:g} is not a rate: use 0 < --fmr <= 1.")
    if basis is None:
        raise ModelError(
            "This model has no calibration, so there is no threshold for a false-match rate: "
            "run 'mfr calibrate' and use the model it writes, or pass --threshold."
        )
    return basis.threshold_at(fmr)


def check_choice(
    calibrations: Calibrations | None,
    fmr: float,
    threshold: float | None,
    condition: str | None = None,
) -> None:
    """Raise what `choose_threshold` and `basis_for` would, before any photograph is read."""
    if condition is not None or threshold is not None or calibrations is None:
        choose_threshold(basis_for(calibrations, [], condition), fmr, threshold)
    elif not 0 < fmr <= 1:
        choose_threshold(None, fmr, threshold)


def decide(score: float, threshold: float, basis: Basis | None) -> Decision:
    """Judge ``score`` by ``threshold``; the basis, if any, tells the rates."""
    if basis is None:
        return Decision(score >= threshold, score, threshold, None)
    worst = basis.worst_at(threshold)
    return Decision(
        score >= threshold,
        score,
        threshold,
        worst.fmr_at(threshold),
        worst.fnmr_at(threshold),
        basis.fmr_at(score),
        measured_at(threshold, basis),
        () if basis.warning is None else (basis.warning,),
    )


def measured_at(threshold: float, basis: Basis) -> Measured:
    """Where the rates at ``threshold`` were measured."""
    worst = basis.worst_at(threshold)
    return Measured(
        worst.compared,
        worst.source,
        worst.people,
        worst.comparisons,
        worst.interval_at(threshold),
        worst.fmrs[0],
    )


def basis_for(
    calibrations: Calibrations | None,
    embeddings: list[np.ndarray],
    condition: str | None = None,
    *,
    unlike: bool = False,
) -> Basis | None:
    """As `mfr.conditions.Calibrations.basis`; None for a model without calibrations.

    Raises:
        ConfigError: there is no such condition.
    """
    if calibrations is not None:
        return calibrations.basis(embeddings, condition, unlike=unlike)
    if condition is not None:
        raise ConfigError(
            "This model has no calibration, so it knows no conditions: leave --condition out."
        )
    return None


def conditions_of(
    calibrations: Calibrations | None, embeddings: Sequence[np.ndarray]
) -> tuple[str | None, ...]:
    """The condition that each face is taken for, by its embedding (D,)."""
    if calibrations is None:
        return (None,) * len(embeddings)
    return tuple(calibrations.condition_of(each) for each in embeddings)


def cosine(embeddings: np.ndarray, embedding: np.ndarray) -> float:
    """The largest cosine between the rows of ``embeddings`` (n, D) and ``embedding`` (D,)."""
    return float(np.clip((embeddings @ embedding).max(), -1, 1))
