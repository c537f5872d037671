"""What may be said of two methods: a sentence made of their metrics and the interval between."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Ruling = Literal["better", "worse", "undecided"]


class Difference(BaseModel):
    """A metric of one network less that of another, with its 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    key: str
    value: float
    interval: tuple[float, float] | None


class Verdict(BaseModel):
    """Whether MFR beat aggregation, and the sentence that says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ruling: Ruling
    sentence: str


def rule(difference: Difference) -> Ruling:
    """Better or worse only if the whole interval is on that side of zero."""
    if difference.interval is None:
        return "undecided"
    low, high = difference.interval
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def reach_verdict(
    mfr: float | None, agg: float | None, difference: Difference, *, where: str
) -> Verdict:
    """The verdict on one metric, TAR at FMR 1%, which was fixed before anything was measured.

    Args:
        mfr: MFR's metric, a share; None where too little was compared to resolve the FMR.
        agg: aggregation's.
        difference: MFR's less aggregation's.
        where: on whom, such as 'masked faces'.
    """
    if mfr is None or agg is None:
        return Verdict(
            ruling="undecided",
            sentence=f"In this run too few people were compared on {where} to tell an FMR of 1%: "
            "it does not show whether MFR beats plain aggregation.",
        )
    ruling = rule(difference)
    metrics = f"TAR at FMR 1% is {mfr:.1%} with MFR and {agg:.1%} with aggregation"
    if difference.interval is None:
        return Verdict(
            ruling=ruling,
            sentence=f"On {where}, {metrics}; without resamples nobody can say whether that is "
            "more than luck.",
        )
    low, high = (_points(bound) for bound in difference.interval)
    gap = f"{_points(difference.value)} points, 95% interval {low} to {high}"
    opening = {
        "better": f"In this run MFR beats plain aggregation on {where}",
        "worse": f"In this run MFR does not beat plain aggregation on {where}; it is worse",
        "undecided": f"In this run MFR does not beat plain aggregation on {where}, nor is it "
        "surely worse; the run cannot tell them apart",
    }[ruling]
    return Verdict(ruling=ruling, sentence=f"{opening}: {metrics} ({gap}).")


def _points(share: float) -> str:
    rounded = round(100 * share, 1) + 0.0  # no minus zero
    return f"{rounded:+.1f}" if rounded else "0.0"
