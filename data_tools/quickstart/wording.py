"""The names of networks and domains, and the format of metrics, in the page and the summary."""

from __future__ import annotations

from typing import Final

from data_tools.quickstart.judging import BEFORE
from data_tools.quickstart.learning import AGG, MFR
from data_tools.quickstart.plan import UNSEEN
from data_tools.quickstart.repeats import Estimate

TITLES: Final = {
    BEFORE: "start",
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


METRICS: Final = {
    "tar@fmr=0.01": "TAR at FMR 1%",
    "tar@fmr=0.001": "TAR at FMR 0.1%",
    "rank1": "rank-1",
    "auc": "AUC",
}


def value(estimate: Estimate, key: str) -> str:
    """A metric's value: '45.2', in per cent, or '0.953' for an area, or 'not resolved'."""
    return "not resolved" if estimate.value is None else _number(estimate.value, key)


def interval(estimate: Estimate, key: str) -> str:
    """A metric's interval, such as '38.1-52.4', in the units of `value`; '' if there is none."""
    if estimate.interval is None:
        return ""
    return "-".join(_number(bound, key) for bound in estimate.interval)


def _number(number: float, key: str) -> str:
    return f"{number:.3f}" if key == "auc" else f"{100 * number:.1f}"
