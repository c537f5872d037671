"""What scores mean under one condition: from a threshold to the rates at which it errs."""

from __future__ import annotations

from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mfr.errors import ModelError

_ROUNDING: Final = 1e-4
"""How far a cosine of float32 embeddings may be beyond 1."""


class Calibration(BaseModel):
    """What scores mean: the false match rate (FMR) behind each threshold, measured on people.

    ``thresholds`` fall as ``fmrs`` rise: FMR(t) is the share of non-mated comparisons that score
    at least t. Rates below ``1 / comparisons`` were not observable and are not claimed.
    ``fnmrs``, the false non-match rates (FNMR), are the shares of mated comparisons that each
    threshold refuses.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: str = Field(default="", description="what the faces are like, in a word or two")
    against: str = Field(
        default="", description="what the other faces of the comparisons are like, if not the same"
    )
    thresholds: list[float] = Field(min_length=1)
    fmrs: list[float] = Field(min_length=1)
    fmr_intervals: list[tuple[float, float]] | None = Field(
        default=None, description="95% intervals of fmrs, over people"
    )
    comparisons: int = Field(gt=0, description="non-mated comparisons it was measured on")
    people: int = Field(gt=1)
    fnmrs: list[float] | None = None
    mated: int = Field(default=0, ge=0, description="mated comparisons it was measured on")
    source: str = Field(description="the domains and split it was measured on")

    @model_validator(mode="after")
    def _ordered(self) -> Calibration:
        thresholds, fmrs = np.array(self.thresholds), np.array(self.fmrs)
        if len(thresholds) != len(fmrs):
            raise ValueError("thresholds and fmrs differ in length")
        if not (np.isfinite(thresholds).all() and np.isfinite(fmrs).all()):
            raise ValueError("thresholds and fmrs must be finite")
        if (np.diff(thresholds) >= 0).any() or (np.diff(fmrs) <= 0).any():
            raise ValueError("thresholds must fall and fmrs rise")
        if (np.abs(thresholds) > 1 + _ROUNDING).any():
            raise ValueError("thresholds must be cosines")
        if (fmrs <= 0).any() or (fmrs > 1).any():
            raise ValueError("fmrs must be rates")
        if fmrs[0] * self.comparisons < 1 - _ROUNDING:
            raise ValueError("there are too few comparisons for the lowest rate")
        for beside in (self.fnmrs, self.fmr_intervals):
            if beside is not None and len(beside) != len(fmrs):
                raise ValueError("there must be as many rates of each kind as thresholds")
        if self.fnmrs is not None and not all(0 <= rate <= 1 for rate in self.fnmrs):
            raise ValueError("fnmrs must be rates")
        return self

    def threshold_at(self, fmr: float) -> float:
        """The threshold whose measured FMR is at most ``fmr``: the largest such rate we have.

        Raises:
            ModelError: ``fmr`` is below what the calibration could observe.
        """
        position = int(np.searchsorted(self.fmrs, fmr, side="right")) - 1
        if position < 0:
            matches = round(self.fmrs[0] * self.comparisons)
            raise ModelError(
                f"This model's calibration cannot tell a false-match rate of {fmr:g}: the lowest "
                f"it measured is {self.fmrs[0]:.2g} ({matches} false matches in {self.comparisons} "
                f"comparisons of {self.people} people; fewer would be chance); ask for a "
                "higher --fmr or calibrate on more people."
            )
        return self.thresholds[position]

    def fmr_at(self, score: float) -> float:
        """The measured FMR of threshold ``score``, interpolated on log FMR; ends are clamped."""
        rising = self.thresholds[::-1]
        return float(np.exp(np.interp(score, rising, np.log(self.fmrs[::-1]))))

    def fnmr_at(self, threshold: float) -> float | None:
        """The measured FNMR of a threshold, interpolated; None if it was not measured."""
        if self.fnmrs is None:
            return None
        return float(np.interp(threshold, self.thresholds[::-1], self.fnmrs[::-1]))

    def interval_at(self, threshold: float) -> tuple[float, float] | None:
        """The 95% interval of `fmr_at`, interpolated alike; None if it was not measured."""
        if self.fmr_intervals is None:
            return None
        rising = self.thresholds[::-1]
        low, high = np.array(self.fmr_intervals)[::-1].T
        floor = self.fmrs[0] * 1e-3  # an interval may reach down to 0, which has no logarithm
        return (
            float(np.exp(np.interp(threshold, rising, np.log(np.maximum(low, floor))))),
            float(np.exp(np.interp(threshold, rising, np.log(np.maximum(high, floor))))),
        )

    @property
    def told(self) -> str:
        """On whom it was measured, a noun phrase."""
        return f"{self.compared}: {self.people} people of {self.source}".removeprefix(": ")

    @property
    def compared(self) -> str:
        """What was compared: the condition, or both conditions; empty if it does not say."""
        return f"{self.condition} against {self.against}" if self.against else self.condition
