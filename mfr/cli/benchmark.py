"""``mfr benchmark``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Column, Table
from rich.text import Text

from mfr.cli.console import busy, print_json, print_table, say
from mfr.cli.named_models import load_named
from mfr.cli.options import AllowSeen, AsJson, Backbone, Data, Device, Models, Seed, Split, names_in

if TYPE_CHECKING:
    from mfr.benchmark.report import Report


_WIDEST: Final = 40  # characters of a text in a table, which is broken there
MARK = " †"
"""What stands after a rate that rests on few errors."""


def benchmark(
    context: typer.Context,
    models: Models,
    data: Data,
    out: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where report.json and report.html go.")
    ] = Path("report"),
    domain: Annotated[
        str | None,
        typer.Option(
            metavar="D[,D2]",
            help="Domains to judge; several have their reports in DIRECTORY/D, DIRECTORY/D2, those "
            "of several models in DIRECTORY/MODEL/D. "
            "With --pairs: lfw if not given. A dataset's own protocol knows its domains.",
        ),
    ] = None,
    backbone: Backbone = None,
    split: Split = "test",
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="gallery-probe: one image of each identity as gallery and the rest as probes; "
            "all-pairs: every pair of images; templates: means of several images; open-set: "
            "searches for people enrolled and for strangers; every-pair: as all-pairs, however "
            "many there are; or a protocol the dataset was "
            "imported with, such as lfw.",
        ),
    ] = "gallery-probe",
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="PAIRS.TXT", help="List of pairs for lfw, unless it is stored."),
    ] = None,
    gap_from: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Set a threshold for an FMR of 0.1% on the people of these domains, and report "
            "what it does on those judged.",
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.CSV",
            help="Report FMR and FNMR of groups of people apart: a file with the columns person "
            "and group, or a column of the manifest.",
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples for the intervals; 0 for none.")
    ] = 1000,
    allow_seen: AllowSeen = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Judge models on domains: metrics with 95% intervals, and reports to read and to keep.

    Of several models or domains there is an overview too, in overview.json and overview.html: every
    model on every domain, and how far each is from the first, paired over the same people.

    Examples: mfr benchmark runs/first/model.safetensors --data DATASET --domain celeb_caricature
    --out report/

    mfr benchmark START runs/agg/model.safetensors runs/mfr/model.safetensors --data DATASET
    --domain lfw,celeb_caricature --out report/

    mfr benchmark WEIGHTS --backbone mobilefacenet-112x96 --data DATASET --protocol lfw
    """
    from mfr import atomic
    from mfr.benchmark.choice import choose_protocol, joint_protocol
    from mfr.benchmark.groups import read_groups
    from mfr.benchmark.overview import judge_models
    from mfr.benchmark.writing import write_overview, write_report
    from mfr.data.manifest import Manifest

    domains = [] if domain is None else names_in(domain, "--domain")
    other = [] if gap_from is None else names_in(gap_from, "--gap-from")
    options = {
        "seed": seed,
        "resamples": resamples,
        "command": context.obj,
        "allow_seen": allow_seen,
    }
    judge = choose_protocol(
        protocol, domains, pairs=pairs, split=split, gap_from=other, groups=groups
    )
    joint = joint_protocol(protocol, models=len(models), domains=len(domains))
    atomic.check_directory(out)
    manifest = Manifest.read(data)
    manifest.where(domains=[*domains, *other])  # all that are unknown are named at once
    encoders = load_named(models, backbone=backbone, device=device)
    if joint is None:
        ((name, encoder),) = encoders.items()
        with busy("Judging"):
            reports = judge(encoder, manifest, name=name, **options)
            made = [
                (report, *write_report(report, out if len(reports) == 1 else out / report.domain))
                for report in reports
            ]
        _answer(made, as_json)
        return
    with busy("Judging"):
        judged = judge_models(
            encoders,
            manifest,
            domains,
            split=split,
            protocol=joint,
            gap_from=other,
            groups=None if groups is None else read_groups(groups, manifest),
            **options,
        )
        several = len(models) > 1
        made = [
            (report, *write_report(report, out / name / where if several else out / where))
            for (name, where), report in judged.reports.items()
        ]
        whole, page = write_overview(judged.overview, out)
    if as_json and several:
        print_json(
            {
                "verdict": judged.overview.verdict,
                "differences": {
                    where: each.differences for where, each in judged.overview.domains.items()
                },
                "json": whole,
                "html": page,
                "reports": [_summary(*one) for one in made],
            }
        )
        return
    _answer(made, as_json)
    if not as_json:
        for sentence in judged.overview.verdict:
            say(sentence)
        say(f"The overview is {page}.")


def _answer(made: Sequence[tuple[Report, Path, Path]], as_json: bool) -> None:
    if as_json:
        print_json([_summary(*one) for one in made])
        return
    for report, _, page in made:
        _print_report(report, page)


def _summary(report: Report, data: Path, page: Path) -> dict[str, Any]:
    whole = report.model_dump(mode="json")
    kept = (
        "seen",
        "title",
        "domain",
        "split",
        "protocol",
        "metrics",
        "fixed_thresholds",
        "galleries",
        "groups",
        "counts",
        "warnings",
        "model_hash",
    )
    return {**{key: whole[key] for key in kept}, "json": data, "html": page}


def _reasons(report: Report) -> list[tuple[list[str], str]]:
    """Why metrics have no value or no interval: their names, and the reason, each once.

    They stand below the table, which they would make too wide to read.
    """
    names: dict[str, list[str]] = {}
    for metric in report.metrics:
        if reason := metric.reason or (metric.interval_reason if metric.errors != 0 else None):
            names.setdefault(reason, []).append(metric.name)
    return [(each, reason) for reason, each in names.items()]


def _print_report(report: Report, page: Path) -> None:
    from mfr.benchmark.page import amount, bounds, refused
    from mfr.benchmark.verdicts import verdict

    if report.seen is not None:
        say(report.seen)
    columns = ("Metric", "Value", "95% interval", "Threshold", "Rightful people refused (FNMR)")
    table = Table(*columns, title=Text(report.title))
    for metric in report.metrics:
        table.add_row(
            Text(metric.name),
            amount(metric) + (MARK if metric.thin else ""),
            "too few comparisons" if metric.reason else bounds(metric),
            "–" if metric.threshold is None else f"{metric.threshold:.4f}",
            refused(metric),
        )
    print_table(table)
    for names, reason in _reasons(report):
        say(f"{', '.join(names)}: {reason}")
    if report.fixed_thresholds:
        here = ("FMR here", "95% interval", "FNMR here", "95% interval")
        where = Column("Threshold set on", max_width=_WIDEST)
        table = Table(where, "For an FMR of", *here, title="Thresholds set elsewhere")
        for fixed in report.fixed_thresholds:
            shown = [
                text
                for rate in (fixed.fmr, fixed.fnmr)
                for text in (amount(rate) + (MARK if rate.thin else ""), bounds(rate))
            ]
            table.add_row(Text(fixed.set_on), f"{100 * fixed.wanted_fmr:g}%", *shown)
        print_table(table)
    if report.galleries:
        rated = [metric.name for metric in report.galleries[-1].metrics]
        table = Table("People enrolled", "Searches for them", *rated)
        for size in report.galleries:
            shown = [
                amount(metric)
                if metric.value is None
                else f"{amount(metric)}{MARK if metric.thin else ''}\n({bounds(metric)})"
                for metric in size.metrics
            ]
            table.add_row(str(size.people), str(size.searches), *shown)
        print_table(table)
    if report.groups:
        table = Table("Group", "People", "FMR", "FNMR", title=Text(report.groups.threshold_told))
        for group in report.groups.groups:
            shown = [
                f"{amount(rate)}{MARK if rate.thin else ''} ({bounds(rate)})"
                for rate in (group.fmr, group.fnmr)
            ]
            table.add_row(Text(group.name), str(group.people), *shown)
        print_table(table)
    rates = [rate for fixed in report.fixed_thresholds for rate in (fixed.fmr, fixed.fnmr)]
    if any(metric.thin for metric in [*report.metrics, *rates]):
        say(f"{MARK.strip()} rests on fewer than ten errors.")
    for sentence in verdict(report):
        say(sentence)
    counts = report.counts
    say(
        f"{counts.people} people, {counts.images} images, {counts.mated} mated and "
        f"{counts.nonmated} non-mated comparisons."
        if not report.galleries
        else f"{counts.people} people, {counts.images} images, {counts.mated} searches for people "
        f"enrolled and {counts.nonmated} for {counts.strangers} strangers."
    )
    for warning in report.warnings:
        say(f"Note: {warning}")
    say(f"The report is {page}.")
