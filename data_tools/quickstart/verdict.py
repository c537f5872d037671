"""The verdict on two methods: a sentence made from their metrics and the difference's interval."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Ruling = Literal["better", "worse", "undecided"]


class Difference(BaseModel):
    """A metric of one method minus that of another, with the 95% interval of the difference."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    key: str
    value: float
    interval: tuple[float, float] | None


class Verdict(BaseModel):
    """Whether MFR beat aggregation, and the sentence that states it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ruling: Ruling
    sentence: str


def rule(difference: Difference) -> Ruling:
    """The ruling on a difference: better or worse only if the whole interval is beyond zero."""
    if difference.interval is None:
        return "undecided"
    low, high = difference.interval
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def reach_verdict(
    mfr: float | None, agg: float | None, difference: Difference, *, where: str, seeds: int
) -> Verdict:
    """The verdict by one metric, TAR at FMR 1%, which was chosen before anything was measured.

    MFR wins only if the whole interval of the difference is above 0.

    Args:
        mfr: MFR's metric, from 0 to 1; None if there were too few comparisons to resolve the FMR.
        agg: aggregation's metric, likewise.
        difference: MFR's metric minus aggregation's.
        where: a description of what was judged, such as 'masked faces'.
        seeds: the number of training seeds that the metrics are means of.
    """
    if mfr is None or agg is None:
        return Verdict(
            ruling="undecided",
            sentence=f"Here too few people were compared on {where} to measure at an FMR of "
            "1%: it does not show whether MFR beats plain aggregation.",
        )
    ruling = rule(difference)
    metrics = (
        f"TAR at FMR 1%, the mean of {seeds} training seeds, is {mfr:.1%} with MFR and {agg:.1%} "
        "with aggregation"
    )
    if difference.interval is None:
        return Verdict(
            ruling=ruling,
            sentence=f"On {where}, {metrics}; without resamples or with so few people it is "
            "not known whether the difference is more than luck.",
        )
    low, high = (_points(bound) for bound in difference.interval)
    gap = f"{_points(difference.value)} points, 95% interval over people {low} to {high}"
    opening = {
        "better": f"Here MFR beats plain aggregation on {where}",
        "worse": f"Here MFR does not beat plain aggregation on {where}; it is worse",
        "undecided": f"Here MFR does not beat plain aggregation on {where}, nor is it "
        "clearly worse; the runs cannot decide between them",
    }[ruling]
    return Verdict(ruling=ruling, sentence=f"{opening}: {metrics} ({gap}).")


def _points(share: float) -> str:
    rounded = round(100 * share, 1) + 0.0  # no minus zero
    return f"{rounded:+.1f}" if rounded else "0.0"
