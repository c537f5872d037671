"""An overview as one self-contained web page."""

from __future__ import annotations

from importlib import resources
from typing import Any

from markupsafe import Markup

from mfr.benchmark.overview import JudgedDomain, Overview
from mfr.benchmark.page import amount, bounds, make_environment
from mfr.benchmark.plots import (
    cmc_plot,
    compared_roc_plot,
    det_plot,
    histograms_plot,
    map_plot,
)
from mfr.benchmark.report import FixedThreshold, Metric
from mfr.benchmark.verdicts import named

_TEMPLATE = "overview.html.j2"


def render_overview(overview: Overview) -> str:
    """The page; everything that comes from data is escaped."""
    environment = make_environment()
    environment.filters.update(amount=amount, bounds=bounds, named=named)
    source = resources.files("mfr.benchmark").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    # Drawn by us: the names in them are escaped by matplotlib.
    return environment.from_string(source).render(
        overview=overview,
        curves={
            domain: {kind: Markup(svg) for kind, svg in _curves(each, number).items()}
            for number, (domain, each) in enumerate(overview.domains.items())
        },
        shown=_shown,
        elsewhere=_elsewhere,
        histograms={
            name: Markup(
                histograms_plot(
                    {
                        domain: each.standings[name].histogram
                        for domain, each in overview.domains.items()
                    },
                    name=f"histograms-{number}",
                )
            )
            for number, name in enumerate(overview.models)
        },
        maps={
            name: Markup(map_plot(one.points, name=f"map-{number}"))
            for number, (name, one) in enumerate(overview.maps.items())
        },
    )


def _curves(judged: JudgedDomain, number: int) -> dict[str, str]:
    rocs = {name: one.roc for name, one in judged.standings.items()}
    found = {name: one.cmc for name, one in judged.standings.items() if one.cmc}
    drawn = {
        "ROC": compared_roc_plot(rocs, name=f"roc-{number}"),
        "DET": det_plot(rocs, name=f"det-{number}"),
    }
    return drawn | ({"CMC": cmc_plot(found, name=f"cmc-{number}")} if found else {})


def _shown(judged: JudgedDomain) -> list[dict[str, Any]]:
    """The rows of a domain's table: a metric, and its value for each model, None if it has none."""
    first = next(iter(judged.standings.values()))
    rows = []
    for metric in first.metrics:
        values: list[Metric | None] = [
            next((other for other in one.metrics if other.key == metric.key), None)
            for one in judged.standings.values()
        ]
        rows.append({"name": metric.name, "rule": metric.rule, "values": values})
    return rows


def _elsewhere(judged: JudgedDomain) -> list[dict[str, Any]]:
    """The rows about thresholds set elsewhere: what for, and what it does for each model."""
    kinds: dict[tuple[bool, str, float], dict[str, FixedThreshold]] = {}
    for name, standing in judged.standings.items():
        for fixed in standing.fixed_thresholds:
            # Calibrations differ between models; other domains are the same for all.
            where = "" if fixed.own else fixed.set_on
            kinds.setdefault((fixed.own, where, fixed.wanted_fmr), {})[name] = fixed
    return [
        {
            "name": "its own threshold" if own else f"threshold set on {where}",
            "fmr": fmr,
            "values": [fixed.get(name) for name in judged.standings],
        }
        for (own, where, fmr), fixed in kinds.items()
    ]
