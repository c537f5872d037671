"""The summary that a quickstart prints at its end: a table, the verdict and the times."""

from __future__ import annotations

from pathlib import Path

from data_tools.quickstart import wording
from data_tools.quickstart.judging import NETWORKS
from data_tools.quickstart.plan import UNSEEN
from data_tools.quickstart.report import QuickstartReport
from mfr.benchmark.report import Metric

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
            cells = " | ".join(_show(judged[network].metric(key)) for key in _METRICS)
            lines.append(f"| {place} | {wording.TITLES[network]} | {cells} |")
    answered = [probe for probe in report.gallery.probes if probe.problem is None]
    verified = sum(bool(probe.verified_right) for probe in answered)
    identified = sum(bool(probe.identified_right) for probe in answered)
    seconds = report.times.stages
    people, budget = report.world.people, report.runs["mfr"]
    lines += [
        "",
        "Values are in %, except for the AUC, with 95% intervals over people in brackets. There "
        f"are {report.world.images} images: {people['train']} people for training, {people['val']} "
        f"for validation, {people['test']} for testing. After the common start, each method was "
        f"trained on {budget.images} images.",
        "",
        f"{report.judgement.verdict.sentence} {report.judgement.on_sources}",
        "",
        f"Better than chance and than the untrained network on every domain: "
        f"{'both' if report.judgement.learned else 'not both'}.",
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


def _show(metric: Metric) -> str:
    bounds = wording.interval(metric)
    return f"{wording.value(metric)} ({bounds})" if bounds else wording.value(metric)
