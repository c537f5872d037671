"""What a report comes to, in sentences that stand before its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from mfr.benchmark.report import Differential, FixedThreshold, GallerySize, Metric, Report

if TYPE_CHECKING:
    from mfr.benchmark.paired import Difference

MAIN_METRICS: Final = (
    "tar@fmr=0.001",
    "tar@fmr=0.01",
    "auc",
    "fnir@fpir=0.01",
    "fnir@fpir=0.1",
)
"""What a verdict is about, the first of them that could be measured."""
VERDICT_FMR: Final = 1e-3
EVERY_PAIR: Final = "every-pair"
"""The protocol that keeps no scores, so that other thresholds cannot be tried."""
_ERRORS: Final = {
    "tar": ("false match", "false matches"),
    "fmr": ("false match", "false matches"),
    "fnmr": ("false non-match", "false non-matches"),
    "fnir": ("stranger taken for somebody", "strangers taken for somebody"),
}
"""What is counted behind a rate, one and several, by what its key begins with."""


def verdict(report: Report) -> list[str]:
    """What the model does here, and whether its own threshold keeps its promise."""
    sentences = [
        f"{main_metric(report.metrics).name}: {_told(main_metric(report.metrics)).rstrip(',')}."
    ]
    for fixed in report.fixed_thresholds:
        if fixed.wanted_fmr == VERDICT_FMR:
            sentences.append(kept_promise(fixed))
    if report.galleries:
        return [*sentences, *_told_sizes(report.galleries)]
    if report.groups:
        sentences += [told_differential(one) for one in report.groups.differentials]
    if report.protocol == EVERY_PAIR:
        return sentences
    if not any(fixed.own for fixed in report.fixed_thresholds):
        sentences.append(
            "The model has no calibration for an FMR that could be tested, so what it does at a "
            "threshold of its own cannot be said."
            if report.model.calibration is not None
            else "The model has no calibration, so it has no threshold of its own to be judged at."
        )
    return sentences


def _told_sizes(galleries: Sequence[GallerySize]) -> list[str]:
    main = main_metric(galleries[-1].metrics)
    values = [
        (one.people, metric.value)
        for one in galleries
        for metric in one.metrics
        if metric.key == main.key and metric.value is not None
    ]
    if len(values) < 2:
        return []
    (few, low), (many, high) = values[0], values[-1]
    return [f"With {few} people enrolled it is {percent(low)}, with {many} it is {percent(high)}."]


def told_differential(one: Differential) -> str:
    """How far apart groups are in a rate, as a sentence."""
    if one.ratio is None:
        return f"{one.rate}: {one.reason}"
    told = f"{one.rate}: {one.worst} has {one.ratio:.2f} times the rate of {one.best}"
    if one.interval is None:
        return f"{told}. {one.reason or ''}".strip()
    low, high = one.interval
    return f"{told} ({low:.2f} to {high:.2f})."


def compared_verdict(
    names: Sequence[str], differences: Mapping[str, Mapping[str, Sequence[Difference]]]
) -> list[str]:
    """How each model differs from the first, on which domains.

    Args:
        names: of the models, the first first.
        differences: by domain and model, its metrics minus those of the first.
    """
    sentences = []
    for name in names[1:]:
        ruled: dict[str, list[str]] = {"better": [], "worse": [], "open": [], "unknown": []}
        for domain, each in differences.items():
            if main := main_difference(each[name]):
                kind = "unknown" if main.interval is None else ruling(main)
                ruled[kind].append(f"{domain} ({told_difference(main)})")
        parts = [
            f"{words} on {', '.join(ruled[kind])}"
            for kind, words in (
                ("better", "better"),
                ("worse", "worse"),
                ("open", "not distinguishable"),
                ("unknown", "nothing can be said"),
            )
            if ruled[kind]
        ]
        told = "; ".join(parts) if parts else "not comparable: too little was measured"
        sentences.append(f"{name} against {names[0]}: {told}.")
    return sentences


def promises_verdict(reports: Mapping[tuple[str, str], Report]) -> list[str]:
    """Where models' own thresholds for an FMR of 0.1% err most; reports by (model, domain)."""
    sentences = []
    for name in dict.fromkeys(name for name, _ in reports):
        own = {
            domain: fixed
            for (whose, domain), report in reports.items()
            for fixed in report.fixed_thresholds
            if whose == name and fixed.own and fixed.wanted_fmr == VERDICT_FMR
        }
        if own:
            domain = max(own, key=lambda one: own[one].fmr.value or 0.0)
            worst = own[domain]
            sentences.append(
                f"{name} at its own threshold for an FMR of {100 * VERDICT_FMR:g}%: at most "
                f"{_told(worst.fmr)}, on {domain}, where it refuses {_told(worst.fnmr)} of "
                f"rightful people: {_kept(worst)}."
            )
    return sentences


def main_difference(differences: Sequence[Difference]) -> Difference | None:
    """The difference that a verdict is about, by the first of `MAIN_METRICS` that there is."""
    by_key = {one.key: one for one in differences}
    return next((by_key[key] for key in MAIN_METRICS if key in by_key), None)


def ruling(difference: Difference) -> Literal["better", "worse", "open"]:
    """Whether the interval of a difference, of which more is better, excludes 0."""
    if difference.interval is None:
        return "open"
    low, high = difference.interval
    return "better" if low > 0 else "worse" if high < 0 else "open"


def told_difference(difference: Difference) -> str:
    """'TAR at FMR 0.1% +4.1 points, 1.2 to 7.0'; areas with four decimals."""
    name, area = named(difference.key), difference.key == "auc"

    def signed(value: float) -> str:
        return f"{value:+.4f}" if area else f"{100 * value:+.1f}"

    unit = "" if area else "%" if difference.key.endswith(":relative") else " points"
    told = f"{name} {signed(difference.value)}{unit}"
    if difference.interval is None:
        return f"{told}, no interval"
    return f"{told}, {' to '.join(signed(one) for one in difference.interval)}"


def named(key: str) -> str:
    """A metric's key in words."""
    kind, _, rate = key.removesuffix(":relative").partition("@fmr=")
    if rate:
        words = f"{kind.upper()} at FMR {100 * float(rate):g}%"
        return f"{words}, relative" if key.endswith(":relative") else words
    return {"auc": "AUC", "eer": "EER", "rank1": "rank-1"}.get(key, key)


def main_metric(metrics: list[Metric]) -> Metric:
    """The metric that a verdict is about: the first of `MAIN_METRICS` that has a value."""
    by_key = {metric.key: metric for metric in metrics}
    known = [by_key[key] for key in MAIN_METRICS if key in by_key and by_key[key].value is not None]
    return known[0] if known else metrics[0]


def kept_promise(fixed: FixedThreshold) -> str:
    """What a threshold that was set elsewhere really does, as a sentence."""
    whose = "its own threshold" if fixed.own else f"a threshold set on {fixed.set_on}"
    told = (
        f"At {whose} for an FMR of {100 * fixed.wanted_fmr:g}% it has an FMR of "
        f"{_told(fixed.fmr)} here and refuses {_told(fixed.fnmr)} of rightful people"
    )
    return f"{told}: {_kept(fixed)}."


def _kept(fixed: FixedThreshold) -> str:
    value, interval = fixed.fmr.value or 0.0, fixed.fmr.interval
    if interval is None:
        return "with too few people or errors to say whether that keeps to it"
    low, high = interval
    if low > fixed.wanted_fmr:
        return f"{value / fixed.wanted_fmr:.1f} times the rate that was asked for"
    if high < fixed.wanted_fmr:
        return "less than was asked for, at the cost of refusals"
    return "which keeps to the rate that was asked for, within the interval"


def _told(metric: Metric) -> str:
    if metric.value is None:
        return metric.reason or "not measured"
    shown = amount(metric.value, metric.unit)
    if metric.interval is not None:
        low, high = (amount(one, metric.unit) for one in metric.interval)
        shown += f" ({low} to {high})"
    if metric.thin and metric.errors:
        one, several = _ERRORS.get(metric.key.partition("@")[0], ("error", "errors"))
        shown += f", resting on {metric.errors} {one if metric.errors == 1 else several} only,"
    return shown


def amount(value: float, unit: str) -> str:
    """'93.41%' for a share, '0.98765' for an area; small shares keep two digits."""
    if unit != "share":
        return f"{value:.5f}"
    return percent(value)


def percent(share: float) -> str:
    """A share in per cent: two decimals, or two digits where it is below 0.1%."""
    if 0 < abs(share) < 1e-3:
        return f"{100 * share:.2g}%"
    return f"{share:.2%}"
