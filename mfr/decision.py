"""One comparison judged: a score, the threshold it is held against, and the risk that entails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mfr.errors import ConfigError, ModelError

if TYPE_CHECKING:  # pydantic takes time to import; nothing here needs it at run time.
    from mfr.calibration import Calibration

DEFAULT_FMR: Final = 1e-3
"""The false-match rate at which a comparison is judged unless another is asked for."""


@dataclass(frozen=True)
class Decision:
    """Whether two faces are taken to be the same person.

    Attributes:
        match: ``score >= threshold``.
        score: cosine similarity, -1 to 1.
        threshold: the score from which on two faces match, -1 to 1.
        fmr: the false-match rate measured at that threshold: the share of comparisons of two
            different people that reach it. None when the threshold was given and the model has no
            calibration.
        warnings: what makes the decision less reliable, such as a small face; a sentence each.
    """

    match: bool
    score: float
    threshold: float
    fmr: float | None
    warnings: tuple[str, ...] = ()


def choose_threshold(calibration: Calibration | None, fmr: float, threshold: float | None) -> float:
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
    if calibration is None:
        raise ModelError(
            "This model has no calibration, so there is no threshold for a false-match rate: "
            "run 'mfr calibrate' and use the model it writes, or pass --threshold."
        )
    return calibration.threshold_at(fmr)


def decide(score: float, threshold: float, calibration: Calibration | None) -> Decision:
    """Judge ``score`` by ``threshold``; the calibration, if any, tells the false-match rate."""
    fmr = None if calibration is None else calibration.fmr_at(threshold)
    return Decision(score >= threshold, score, threshold, fmr)


def cosine(embeddings: np.ndarray, embedding: np.ndarray) -> float:
    """The largest cosine between the rows of ``embeddings`` (n, D) and ``embedding`` (D,)."""
    return float(np.clip((embeddings @ embedding).max(), -1, 1))
