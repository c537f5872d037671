"""What a quickstart prints at its end: a table, the verdict and where the time went."""

from __future__ import annotations

from pathlib import Path

from data_tools.quickstart import wording
from data_tools.quickstart.judging import NETWORKS
from data_tools.quickstart.plan import UNSEEN
from data_tools.quickstart.report import QuickstartReport
from mfr.benchmark.report import Figure

_FIGURES = ("tar@far=0.01", "rank1", "auc")


def summary(report: QuickstartReport, page: Path) -> str:
    """A few lines of Markdown."""
    lines = [
        "| domain | network | TAR at FAR 1% | rank-1 | AUC |",
        "|---|---|---|---|---|",
    ]
    for domain, judged in report.judgement.domains.items():
        place = f"{domain} (unseen)" if domain == UNSEEN else domain
        for network in NETWORKS:
            cells = " | ".join(_show(judged[network].figure(key)) for key in _FIGURES)
            lines.append(f"| {place} | {wording.TITLES[network]} | {cells} |")
    answered = [visit for visit in report.desk.visits if visit.problem is None]
    verified = sum(bool(visit.verified_right) for visit in answered)
    identified = sum(bool(visit.identified_right) for visit in answered)
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
        f"Gallery: of {len(report.desk.visits)} masked probes {len(answered)} showed a face the "
        f"detector found; {verified} verified and {identified} identified rightly.",
        "",
        "Seconds: "
        + ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
        + f"; together {sum(seconds.values()):.0f}.",
        "",
        f"The report is {page}.",
    ]
    return "\n".join(lines)


def _show(figure: Figure) -> str:
    bounds = wording.interval(figure)
    return f"{wording.value(figure)} ({bounds})" if bounds else wording.value(figure)
