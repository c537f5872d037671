"""An overview as one self-contained web page."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from mfr.benchmark.mistakes import judging_fmr
from mfr.benchmark.overview import JudgedDomain, Overview
from mfr.benchmark.page import ALL_FIRST, NOBODY_REFUSED, amount, bounds, make_environment
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
_STATUS: Final = {
    "seen": "domain seen",
    "unseen": "domain unseen",
    "not known": "domain seen or not: not known",
}
"""A standing's status beside a model's name, where 'seen' could be taken for the people."""


_NOT_DRAWN: Final = {"DET": NOBODY_REFUSED, "CMC": ALL_FIRST}


class Note(NamedTuple):
    """A warning of the reports, and which models it is on, to stand behind the word 'Note'."""

    on: str
    text: str


def render_overview(overview: Overview) -> str:
    """The page; everything that comes from data is escaped."""
    environment = make_environment()
    environment.filters.update(amount=amount, bounds=bounds, named=named)
    source = resources.files("mfr.benchmark").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    everywhere, of_domain = _notes(overview)
    drawn = {
        domain: _curves(each, number)
        for number, (domain, each) in enumerate(overview.domains.items())
    }
    # Drawn by us: the names in them are escaped by matplotlib.
    return environment.from_string(source).render(
        overview=overview,
        everywhere=everywhere,
        of_domain=of_domain,
        status=lambda standing: _STATUS.get(standing.status, standing.status),
        judging_fmr=judging_fmr,
        curves={
            domain: {kind: Markup(svg) for kind, svg in curves.items() if svg is not None}
            for domain, curves in drawn.items()
        },
        not_drawn={
            domain: [_NOT_DRAWN[kind] for kind, svg in curves.items() if svg is None]
            for domain, curves in drawn.items()
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


def _notes(overview: Overview) -> tuple[list[Note], dict[str, list[Note]]]:
    """What is to be known before the figures: on every domain, and on each beyond that.

    A note tells the models it is on, unless there is one model only.
    """
    found: dict[str, dict[str, list[str]]] = {}  # whom each warning is on, by domain
    for domain, judged in overview.domains.items():
        for name, standing in judged.standings.items():
            for warning in standing.warnings:
                found.setdefault(warning, {}).setdefault(domain, []).append(name)

    def note(names: list[str], warning: str) -> Note:
        if len(overview.models) == 1:
            return Note("", warning)
        every = len(names) == len(overview.models)
        return Note(" on every model" if every else f" on {', '.join(names)}", warning)

    general = {
        warning: next(iter(by_domain.values()))
        for warning, by_domain in found.items()
        if len(by_domain) == len(overview.domains) > 1
        and all(names == next(iter(by_domain.values())) for names in by_domain.values())
    }
    return [note(names, warning) for warning, names in general.items()], {
        domain: [
            note(by_domain[domain], warning)
            for warning, by_domain in found.items()
            if warning not in general and domain in by_domain
        ]
        for domain in overview.domains
    }


def _curves(judged: JudgedDomain, number: int) -> dict[str, str | None]:
    """The drawings of a domain, or None for one in which there would be nothing to see."""
    rocs = {name: one.roc for name, one in judged.standings.items()}
    found = {name: one.cmc for name, one in judged.standings.items() if one.cmc}
    drawn: dict[str, str | None] = {
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
