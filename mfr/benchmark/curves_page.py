"""Curves over the strength of a fault or of an attack, as one self-contained web page."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

from markupsafe import Markup

from mfr.benchmark.attacks import AttackReport
from mfr.benchmark.ladders import LADDERS
from mfr.benchmark.page import amount, bounds, make_environment
from mfr.benchmark.plots import curves_plot
from mfr.benchmark.report import Metric
from mfr.benchmark.robustness import KEYS, RobustnessReport, Rung
from mfr.benchmark.verdicts import percent

_TEMPLATE = "curves.html.j2"
_MANY_MORE: Final = 0.05
"""By how much the FNMR has to rise at least to be told in a verdict."""


def render_robustness(report: RobustnessReport) -> str:
    """The page; everything that comes from data is escaped."""
    return _render(
        report,
        warnings=report.warnings,
        told=f"{report.people} people of split {report.split} of domain {report.domain}; "
        f"{report.probes} probes with each fault against the gallery as it is.",
        verdict=robustness_verdict(report),
        sections=[_of_fault(fault, models) for fault, models in report.curves.items()],
    )


def robustness_verdict(report: RobustnessReport) -> list[str]:
    """From which strength on each model refuses many more rightful people than on clean probes.

    Many more are twice as many, and 5 points more at least. Where there are too few people for an
    interval no such strength is named, because a single person may make it.
    """
    sentences = []
    if few := report.interval_reason:
        sentences.append(f"{few} So it is not said from which strength on a model gets worse.")
    for fault, models in report.curves.items():
        ladder = LADDERS[fault]
        for name, rungs in models.items():
            clean, strongest = (one.clean.fnmr.value or 0.0 for one in (rungs[0], rungs[-1]))
            limit = max(2 * clean, clean + _MANY_MORE)
            worse = [rung for rung in rungs if (rung.clean.fnmr.value or 0.0) > limit]
            many = (
                "twice as many as"
                if limit == 2 * clean
                else f"{100 * _MANY_MORE:g} points more than"
            )
            refused = f"more than {percent(limit)} of rightful people, {many} on clean probes"
            ruled = (
                f"refuses {refused}, from {worse[0].strength:g} on"
                if worse
                else f"never refuses {refused}"
            )
            sentences.append(
                f"{_heading(fault)} ({ladder.unit}): {name} {'' if few else f'{ruled}; '}FNMR "
                f"{percent(clean)} clean, {percent(strongest)} at {rungs[-1].strength:g}."
            )
    return sentences


def render_attacks(report: AttackReport) -> str:
    """The page; everything that comes from data is escaped."""
    held = "; ".join(f"{name} is held to {told}" for name, told in report.thresholds.items())
    sections: list[dict[str, Any]] = []
    for kind, models in report.curves.items():
        points = {
            name: [(float(one.eps), 100 * (one.success.value or 0.0)) for one in rates]
            for name, rates in models.items()
        }
        y = "attacks that succeed (%)"
        strengths = [one.eps for one in next(iter(models.values()))]
        sections.append(
            {
                "heading": kind,
                "figures": [
                    (
                        f"{kind}: how many attacks succeed that may change a pixel so much.",
                        _drawn(points, "eps (levels of 255)", y, f"attack-{len(sections)}"),
                    )
                ],
                "columns": ["model", *(f"eps {eps}" for eps in strengths)],
                "rows": [
                    {"name": name, "metrics": [one.success for one in rates]}
                    for name, rates in models.items()
                ],
            }
        )
    return _render(
        report,
        warnings=[],
        told=f"At most {report.pairs} comparisons of split {report.split} of domain "
        f"{report.domain} for each goal, one a person, that are judged rightly without an attack. "
        f"The attacker knows the model; {held}.",
        verdict=attacks_verdict(report),
        sections=sections,
    )


def attacks_verdict(report: AttackReport) -> list[str]:
    """How often the weakest and the strongest attacks of each kind succeed."""
    sentences = []
    for kind, models in report.curves.items():
        for name, rates in models.items():
            weakest, *strongest = rates[0], *rates[1:][-1:]
            told = f"{percent(weakest.success.value or 0.0)} succeed at eps {weakest.eps}"
            for one in strongest:
                told += f", {percent(one.success.value or 0.0)} at eps {one.eps}"
            sentences.append(f"{kind}: of {name} {told}.")
    return sentences


def _render(report: Any, **parts: Any) -> str:
    environment = make_environment()
    environment.filters.update(amount=amount, bounds=bounds)
    source = resources.files("mfr.benchmark").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        report=report, title=report.title, seen=report.seen, **parts
    )


def _of_fault(fault: str, models: dict[str, list[Rung]]) -> dict[str, Any]:
    ladder = LADDERS[fault]
    figures = []
    for key in KEYS:
        points = {
            name: [
                (rung.strength, 100 * metric.value)
                for rung in rungs
                for metric in rung.metrics
                if metric.key == key and metric.value is not None
            ]
            for name, rungs in models.items()
        }
        if any(points.values()):
            rate = f"TAR at FMR {100 * float(key.partition('=')[2]):g}%"
            figures.append(
                (
                    f"{rate}, its threshold set at each strength.",
                    _drawn(points, ladder.unit, f"{rate} (%)", f"{fault}-{key}"),
                )
            )
    for rate in ("fnmr", "fmr"):
        values = {
            name: [
                (rung.strength, 100 * value)
                for rung in rungs
                if (value := getattr(rung.clean, rate).value) is not None
            ]
            for name, rungs in models.items()
        }
        figures.append(
            (
                f"{rate.upper()} at the threshold of the clean comparisons.",
                _drawn(values, ladder.unit, f"{rate.upper()} (%)", f"{fault}-{rate}"),
            )
        )
    return {
        "heading": _heading(fault),
        "figures": figures,
        "columns": [
            "model, strength",
            *(f"TAR at FMR {100 * float(key.partition('=')[2]):g}%" for key in KEYS),
            "FNMR at the clean threshold",
            "FMR at the clean threshold",
        ],
        "rows": [
            {
                "name": f"{name}, {rung.strength:g}",
                "metrics": [*_found(rung), rung.clean.fnmr, rung.clean.fmr],
            }
            for name, rungs in models.items()
            for rung in rungs
        ],
    }


def _heading(fault: str) -> str:
    name = LADDERS[fault].fault
    return name[0].upper() + name[1:]


def _found(rung: Rung) -> list[Metric | None]:
    return [next((one for one in rung.metrics if one.key == key), None) for key in KEYS]


def _drawn(points: dict[str, list[tuple[float, float]]], x: str, y: str, name: str) -> Markup:
    return Markup(curves_plot(points, x=x, y=y, name=name))
