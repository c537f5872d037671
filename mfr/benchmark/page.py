"""A report as one self-contained web page: no scripts, no links, nothing fetched."""

from __future__ import annotations

from importlib import resources
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mfr.benchmark.origin import data_sentences, in_words, recipe_sentences
from mfr.benchmark.plots import cmc_plot, curves_plot, det_plot, histogram_plot, roc_plot
from mfr.benchmark.report import Metric, Report
from mfr.benchmark.verdicts import amount as told
from mfr.benchmark.verdicts import told_differential, verdict

_TEMPLATE = "report.html.j2"
OPEN_SET: Final = "open-set"
NOBODY_REFUSED: Final = "No DET: nobody is refused at any threshold that could be drawn."
ALL_FIRST: Final = "No CMC: every search finds its person first."
_RATES: Final = {
    False: (("false match rate", "true accept rate"), "false non-match rate"),
    True: (
        ("false positive identification rate", "share of searches that find their person"),
        "false negative identification rate",
    ),
}


def render(report: Report) -> str:
    """The page; everything that comes from data is escaped."""
    environment = make_environment()
    environment.filters["amount"] = amount
    environment.filters["bounds"] = bounds
    environment.filters["refused"] = refused
    environment.filters["words"] = in_words
    environment.filters["differential"] = told_differential
    source = resources.files("mfr.benchmark").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    points = {
        float(metric.key.removeprefix("tar@fmr=")): metric
        for metric in report.metrics
        if metric.key.startswith("tar@fmr=") and metric.value is not None
    }
    marks = [(fmr, metric.value) for fmr, metric in points.items() if metric.value is not None]
    marked = points.get(0.001)
    rates, refusal = _RATES[report.protocol == OPEN_SET]
    return environment.from_string(source).render(
        report=report,
        open_set=report.protocol == OPEN_SET,
        sizes=Markup(_sizes_plot(report)) if len(report.galleries) > 1 else None,
        verdict=verdict(report),
        recipe=recipe_sentences(report.model),
        data=data_sentences(report.model),
        # Drawn by us from numbers alone: nothing in them needs escaping.
        roc=Markup(roc_plot(report.roc, marks=marks, rates=rates)),
        det=_drawn(det_plot({"measured": report.roc}, rates=(rates[0], refusal))),
        cmc=_drawn(cmc_plot({"measured": report.cmc})) if report.cmc else None,
        nobody_refused=NOBODY_REFUSED,
        all_first=ALL_FIRST,
        histogram=Markup(
            histogram_plot(report.histogram, threshold=marked.threshold if marked else None)
        ),
    )


def _drawn(svg: str | None) -> Markup | None:
    return None if svg is None else Markup(svg)


def _sizes_plot(report: Report) -> str:
    curves = {
        metric.name: [
            (float(one.people), 100 * found.value)
            for one in report.galleries
            for found in one.metrics
            if found.key == metric.key and found.value is not None
        ]
        for metric in report.galleries[-1].metrics
    }
    return curves_plot(
        {name: points for name, points in curves.items() if points},
        x="people enrolled (log)",
        y="FNIR (%)",
        name="galleries",
        scale="log",
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
    return "–" if metric.value is None else told(metric.value, metric.unit)


def bounds(metric: Metric) -> str:
    """The interval in the same form, the spread over folds, why there is none, or a dash."""
    if metric.folds is not None and metric.deviation is not None:
        spread = told(metric.deviation, metric.unit)
        return f"standard deviation {spread} over {len(metric.folds)} folds"
    if metric.interval is None:
        if metric.interval_reason is None:
            return "–"
        return "no errors" if metric.errors == 0 else "too few people"
    low, high = metric.interval
    return f"{told(low, metric.unit)} to {told(high, metric.unit)}"


def refused(metric: Metric) -> str:
    """The share of rightful people (mated comparisons) refused at the metric's threshold."""
    return "–" if metric.fnmr is None else told(metric.fnmr, "share")
