"""What a quickstart prints at its end: a table, the verdict and where the time went."""

from __future__ import annotations

from pathlib import Path

from data_tools.quickstart import wording
from data_tools.quickstart.judging import NETWORKS
from data_tools.quickstart.plan import UNSEEN
from data_tools.quickstart.report import QuickstartReport
from mfr.benchmark.report import Metric

_METRICS = ("tar@fmr=0.01", "rank1", "auc")


def summary(report: QuickstartReport, page: Path) -> str:
    """A few lines of Markdown."""
    lines = [
        "| domain | network | TAR at FMR 1% | rank-1 | AUC |",
        "|---|---|---|---|---|",
    ]
    for domain, judged in report.judgement.domains.items():
        place = f"{domain} (unseen)" if domain == UNSEEN else domain
        for network in NETWORKS:
            cells = " | ".join(_show(judged[network].metric(key)) for key in _METRICS)
            lines.append(f"| {place} | {wording.TITLES[network]} | {cells} |")
    answered = [probe for probe in report.gallery.probes if probe.problem is None]
    verified = sum(bool(probe.verified_right) for probe in answered)
    identified = sum(bool(probe.identified_right) for probe in answered)
    seconds = report.times.stages
    people, budget = report.world.people, report.runs["mfr"]
    lines += [
        "",
        "Values in %, AUC as it is; in brackets 95% intervals over people. "
        f"{report.world.images} images of {people['train']} people to train on, {people['val']} to "
        f"watch, {people['test']} to judge; after the common start {budget.images} images for "
        "either method.",
        "",
        f"{report.judgement.verdict.sentence} {report.judgement.on_sources}",
        "",
        f"Better than chance and than the untrained network on every domain: "
        f"{'both' if report.judgement.learned else 'not both'}.",
        "",
        f"Gallery: of {len(report.gallery.probes)} masked probes {len(answered)} showed a face the "
        f"detector found; {verified} verified and {identified} identified rightly.",
        "",
        "Seconds: "
        + ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
        + f"; together {sum(seconds.values()):.0f}.",
        "",
        f"The report is {page}.",
    ]
    return "\n".join(lines)


def _show(metric: Metric) -> str:
    bounds = wording.interval(metric)
    return f"{wording.value(metric)} ({bounds})" if bounds else wording.value(metric)
