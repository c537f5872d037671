"""The names of networks and domains, and the format of metrics, in the page and the summary."""

from __future__ import annotations

from typing import Final

from data_tools.quickstart.judging import UNTRAINED
from data_tools.quickstart.learning import AGG, MFR, START
from data_tools.quickstart.plan import UNSEEN
from mfr.benchmark.report import Metric

TITLES: Final = {
    UNTRAINED: "untrained",
    START: "common start",
    AGG: "aggregation",
    MFR: "MFR",
}
VARIES: Final = (
    "On this machine, with as many threads, the same command gives the same figures. Another "
    "processor or another number of threads rounds sums differently; training carries that on, and "
    "the figures differ by some points, as the intervals allow. The seconds are for idle cores: "
    "busy ones take longer."
)
"""What varies from one quickstart to another, and why."""

DOMAINS: Final = {
    "daylight": "outdoor snapshots",
    "side_light": "one hard lamp from the side",
    "nir": "near infrared, as in door cameras",
    "surveillance": "a ceiling camera with few pixels",
    UNSEEN: "surgical masks",
}


def value(metric: Metric) -> str:
    """A metric's value: '45.2', in per cent, or '0.953' for an area, or 'not resolved'."""
    return "not resolved" if metric.value is None else _number(metric.value, metric)


def interval(metric: Metric) -> str:
    """A metric's interval, such as '38.1-52.4', in the units of `value`; '' if there is none."""
    if metric.value is None or metric.interval is None:
        return ""
    return "-".join(_number(bound, metric) for bound in metric.interval)


def _number(number: float, metric: Metric) -> str:
    return f"{number:.3f}" if metric.unit == "area" else f"{100 * number:.1f}"
