"""A report as one self-contained web page: no scripts, no links, nothing fetched."""

from __future__ import annotations

from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mfr.benchmark.figures import histogram_figure, roc_figure
from mfr.benchmark.report import Figure, Report

_TEMPLATE = "report.html.j2"


def render(report: Report) -> str:
    """The page; everything that comes from data is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["amount"] = amount
    environment.filters["bounds"] = bounds
    source = resources.files("mfr.benchmark").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    points = {
        float(figure.key.removeprefix("tar@far=")): figure
        for figure in report.figures
        if figure.key.startswith("tar@far=") and figure.value is not None
    }
    marks = [(far, figure.value) for far, figure in points.items() if figure.value is not None]
    marked = points.get(0.001)
    return environment.from_string(source).render(
        report=report,
        # Drawn by us from numbers alone: nothing in them needs escaping.
        roc=Markup(roc_figure(report.roc, marks=marks)),
        histogram=Markup(
            histogram_figure(report.histogram, threshold=marked.threshold if marked else None)
        ),
    )


def amount(figure: Figure) -> str:
    """The value as a reader wants it: '93.41%', '0.98765' for an area, or a dash."""
    return "–" if figure.value is None else _number(figure.value, figure.unit)


def bounds(figure: Figure) -> str:
    """The interval in the same form, the spread over folds, or a dash."""
    if figure.folds is not None and figure.deviation is not None:
        spread = _number(figure.deviation, figure.unit)
        return f"standard deviation {spread} over {len(figure.folds)} folds"
    if figure.interval is None:
        return "–"
    low, high = figure.interval
    return f"{_number(low, figure.unit)} to {_number(high, figure.unit)}"


def _number(value: float, unit: str) -> str:
    return f"{value:.2%}" if unit == "share" else f"{value:.5f}"
