"""What a report comes to, in sentences that stand before its figures."""

from __future__ import annotations

from mfr.benchmark.report import FixedThreshold, Metric, Report

MAIN_METRICS = ("tar@fmr=0.001", "tar@fmr=0.01", "auc")
"""What a verdict is about, the first of them that could be measured."""
VERDICT_FMR = 1e-3


def verdict(report: Report) -> list[str]:
    """What the model does here, and whether its own threshold keeps its promise."""
    sentences = [f"{main_metric(report.metrics).name}: {_told(main_metric(report.metrics))}."]
    for fixed in report.fixed_thresholds:
        if fixed.wanted_fmr == VERDICT_FMR:
            sentences.append(kept_promise(fixed))
    if not any(fixed.own for fixed in report.fixed_thresholds):
        sentences.append(
            "The model has no calibration for an FMR that could be tested, so what it does at a "
            "threshold of its own cannot be said."
            if report.model.calibration is not None
            else "The model has no calibration, so it has no threshold of its own to be judged at."
        )
    return sentences


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
    return shown + (f" on {metric.errors} errors only" if metric.thin and metric.errors else "")


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
