"""The summary that a quickstart prints at its end: a table, the verdict and the times."""

from __future__ import annotations

from pathlib import Path

from data_tools.quickstart import wording
from data_tools.quickstart.judging import NETWORKS
from data_tools.quickstart.plan import UNSEEN
from data_tools.quickstart.repeats import Estimate
from data_tools.quickstart.report import QuickstartReport

_METRICS = ("tar@fmr=0.01", "rank1", "auc")


def summary(report: QuickstartReport, page: Path) -> str:
    """The summary, as a few lines of Markdown."""
    lines = [
        "| domain | network | TAR at FMR 1% | rank-1 | AUC |",
        "|---|---|---|---|---|",
    ]
    for domain, judged in report.judgement.domains.items():
        place = f"{domain} (unseen)" if domain == UNSEEN else domain
        for network in NETWORKS:
            cells = " | ".join(_show(judged[network][key], key) for key in _METRICS)
            lines.append(f"| {place} | {wording.TITLES[network]} | {cells} |")
    answered = [probe for probe in report.gallery.probes if probe.problem is None]
    verified = sum(bool(probe.verified_right) for probe in answered)
    identified = sum(bool(probe.identified_right) for probe in answered)
    seconds = report.times.stages
    people, budget = report.world.people, report.runs["mfr"]
    lines += [
        "",
        "Values are in %, except for the AUC, with 95% intervals over people in brackets; those of "
        f"the two methods are means over {report.plan.repeats} seeds of training. Of "
        f"{sum(people.values())} people, {people['train']} train, each one domain, {people['val']} "
        f"validate and {people['test']} test. Each run has seen {budget.images} images.",
        "",
        f"{report.judgement.verdict.sentence} {report.judgement.on_start} "
        f"{report.judgement.on_sources}",
        "",
        f"Gallery: the detector found a face in {len(answered)} of {len(report.gallery.probes)} "
        f"masked probes; {verified} were verified and {identified} identified correctly.",
        "",
        "Seconds: "
        + ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
        + f"; {sum(seconds.values()):.0f} in all.",
        "",
        wording.VARIES,
        "",
        f"The report is {page}.",
    ]
    return "\n".join(lines)


def _show(estimate: Estimate, key: str) -> str:
    bounds = wording.interval(estimate, key)
    value = wording.value(estimate, key)
    return f"{value} ({bounds})" if bounds else value
