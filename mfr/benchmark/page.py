"""A report as one self-contained web page: no scripts, no links, nothing fetched."""

from __future__ import annotations

from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mfr.benchmark.plots import histogram_plot, roc_plot
from mfr.benchmark.report import Metric, Report

_TEMPLATE = "report.html.j2"


def render(report: Report) -> str:
    """The page; everything that comes from data is escaped."""
    environment = make_environment()
    environment.filters["amount"] = amount
    environment.filters["bounds"] = bounds
    environment.filters["refused"] = refused
    source = resources.files("mfr.benchmark").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    points = {
        float(metric.key.removeprefix("tar@fmr=")): metric
        for metric in report.metrics
        if metric.key.startswith("tar@fmr=") and metric.value is not None
    }
    marks = [(fmr, metric.value) for fmr, metric in points.items() if metric.value is not None]
    marked = points.get(0.001)
    return environment.from_string(source).render(
        report=report,
        # Drawn by us from numbers alone: nothing in them needs escaping.
        roc=Markup(roc_plot(report.roc, marks=marks)),
        histogram=Markup(
            histogram_plot(report.histogram, threshold=marked.threshold if marked else None)
        ),
    )


def make_environment() -> Environment:
    """The template environment of all pages: everything is escaped, and ``style`` is their CSS."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = resources.files("mfr.benchmark").joinpath("style.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(style.strip())
    return environment


def amount(metric: Metric) -> str:
    """The value as a reader wants it: '93.41%', '0.98765' for an area, or a dash."""
    return "–" if metric.value is None else _number(metric.value, metric.unit)


def bounds(metric: Metric) -> str:
    """The interval in the same form, the spread over folds, or a dash."""
    if metric.folds is not None and metric.deviation is not None:
        spread = _number(metric.deviation, metric.unit)
        return f"standard deviation {spread} over {len(metric.folds)} folds"
    if metric.interval is None:
        return "–"
    low, high = metric.interval
    return f"{_number(low, metric.unit)} to {_number(high, metric.unit)}"


def refused(metric: Metric) -> str:
    """The share of rightful people (mated comparisons) refused at the metric's threshold."""
    return "–" if metric.fnmr is None else _number(metric.fnmr, "share")


def _number(value: float, unit: str) -> str:
    return f"{value:.2%}" if unit == "share" else f"{value:.5f}"
