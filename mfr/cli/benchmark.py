"""``mfr benchmark`` and ``mfr calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from mfr.cli.console import busy, print_json, print_table, say
from mfr.cli.options import AllowSeen, AsJson, Backbone, Data, Device, Model, Seed, Split, names_in
from mfr.errors import ConfigError, DataError, WriteError

if TYPE_CHECKING:
    from mfr.benchmark.report import Report
    from mfr.calibration import Calibration


MARK = " †"
"""What stands after a rate that rests on few errors."""


def benchmark(
    context: typer.Context,
    model: Model,
    data: Data,
    out: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where report.json and report.html go.")
    ] = Path("report"),
    domain: Annotated[
        str | None,
        typer.Option(
            metavar="D[,D2]",
            help="Domains to judge; several have their reports in DIRECTORY/D, DIRECTORY/D2. "
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
            "all-pairs: every pair of images; templates: means of several images; or a protocol "
            "the dataset was imported with, such as lfw.",
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
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples for the intervals; 0 for none.")
    ] = 1000,
    allow_seen: AllowSeen = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Judge a model on a domain: metrics with 95% intervals, and a report to read and to keep.

    Examples: mfr benchmark runs/first/model.safetensors --data DATASET --domain celeb_caricature
    --out report/

    mfr benchmark WEIGHTS --backbone mobilefacenet-112x96 --data DATASET --protocol lfw
    """
    from mfr.benchmark.choice import choose_protocol
    from mfr.benchmark.origin import names_of
    from mfr.benchmark.writing import write_report
    from mfr.data.manifest import Manifest
    from mfr.models import load_encoder

    judge = choose_protocol(
        protocol,
        [] if domain is None else names_in(domain, "--domain"),
        pairs=pairs,
        split=split,
        gap_from=[] if gap_from is None else names_in(gap_from, "--gap-from"),
    )
    manifest = Manifest.read(data)
    encoder = load_encoder(model, backbone=backbone, device=device)
    with busy("Judging"):
        reports = judge(
            encoder,
            manifest,
            seed=seed,
            resamples=resamples,
            command=context.obj,
            allow_seen=allow_seen,
            name=names_of([model])[0],
        )
        made = [
            (report, *write_report(report, out if len(reports) == 1 else out / report.domain))
            for report in reports
        ]
    if as_json:
        print_json([_summary(*one) for one in made])
        return
    for report, _, page in made:
        _print_report(report, page)


def calibrate(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="MODEL", help="Where the new model file goes.")],
    domains: Annotated[
        str | None, typer.Option(metavar="A,B", help="Domains to measure on; all if not given.")
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=A,B",
            help="Measure several conditions, each on domains of its own; the usual one first.",
        ),
    ] = None,
    split: Split = "val",
    backbone: Backbone = None,
    allow_seen: AllowSeen = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Measure which threshold gives which false-match rate, and keep it in a model file.

    Works with any weights, and turns a checkpoint of another program into a model file.
    verify and identify take their thresholds from it. With --condition once for each of several, a
    decision goes by the one that its faces resemble.

    Example: mfr calibrate WEIGHTS --backbone mobilefacenet-112x96 --data DATASET
    --domains lfw --out model.safetensors
    """
    if out.suffix != ".safetensors":
        raise ConfigError(f"A model file ends in .safetensors: use --out {out}.safetensors.")
    from mfr.benchmark.calibration import calibrate_encoder
    from mfr.benchmark.seen import not_known
    from mfr.data.manifest import Manifest
    from mfr.models import load_encoder

    if condition and domains is not None:
        raise ConfigError("Give --domains, or --condition with the domains of each; not both.")
    conditions = _conditions_in(condition or [])
    manifest = Manifest.read(data)
    if not conditions:
        chosen = manifest.domains if domains is None else names_in(domains, "--domains")
        conditions = {"": chosen}
    encoder = load_encoder(model, backbone=backbone, device=device)
    with busy("Calibrating"):
        measured = calibrate_encoder(
            encoder, manifest, conditions=conditions, split=split, seed=seed, allow_seen=allow_seen
        )
    measured.applied_to(encoder).save(out)
    warnings = [*not_known(encoder), *_note_calibrated(data, measured.persons)]
    if as_json:
        print_json(
            {
                "seen": measured.seen,
                "model": out,
                "calibrations": [each.model_dump() for each in measured.calibrations.measured],
                "warnings": warnings,
            }
        )
        return
    if measured.seen is not None:
        say(measured.seen)
    for each in measured.calibrations.measured:
        _print_calibration(each)
    say(f"The model is {out}.")
    for warning in warnings:
        say(f"Note: {warning}")


def _conditions_in(texts: list[str]) -> dict[str, list[str]]:
    """The domains of each condition, from texts such as 'drawings=caricature,sketch'."""
    conditions: dict[str, list[str]] = {}
    for text in texts:
        name, equals, domains = text.partition("=")
        name = name.strip()
        if not (name and equals) or name in conditions or "," in name:
            raise ConfigError(
                f"--condition takes a name of its own and domains, NAME=A,B: not '{text}'."
            )
        conditions[name] = names_in(domains, "--condition")
    return conditions


def _print_calibration(calibration: Calibration) -> None:
    table = Table(
        "False-match rate",
        "95% interval",
        "Threshold",
        "Rightful people refused (FNMR)",
        title=Text(calibration.compared) if calibration.compared else None,
    )
    blank = ["–"] * len(calibration.fmrs)
    intervals = calibration.fmr_intervals
    for fmr, interval, threshold, refused in zip(
        calibration.fmrs,
        blank if intervals is None else [f"{low:.2g} to {high:.2g}" for low, high in intervals],
        calibration.thresholds,
        blank if calibration.fnmrs is None else [f"{fnmr:.2%}" for fnmr in calibration.fnmrs],
        strict=True,
    ):
        table.add_row(f"{fmr:.2g}", interval, f"{threshold:.4f}", refused)
    print_table(table)
    say(
        f"Measured on {calibration.comparisons} non-mated and {calibration.mated} mated "
        f"comparisons of {calibration.people} people, {calibration.source}."
    )


def _note_calibrated(data: Path, people: list[str]) -> list[str]:
    """Note in the dataset whom a model was calibrated on; a warning if that is not possible."""
    from mfr.data.used import note_used

    try:
        note_used(data, {"calibrated": people})
    except (DataError, WriteError) as error:
        return [f"A new split of the dataset may make test people of these people: {error}"]
    return []


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
        "counts",
        "warnings",
        "model_hash",
    )
    return {**{key: whole[key] for key in kept}, "json": data, "html": page}


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
            metric.reason
            or ("" if metric.errors == 0 else metric.interval_reason)
            or bounds(metric),
            "–" if metric.threshold is None else f"{metric.threshold:.4f}",
            refused(metric),
        )
    print_table(table)
    if report.fixed_thresholds:
        rates = ("FMR here", "95% interval", "FNMR here", "95% interval")
        table = Table("Threshold set on", "For an FMR of", *rates, title="Thresholds set elsewhere")
        for fixed in report.fixed_thresholds:
            shown = [
                text
                for rate in (fixed.fmr, fixed.fnmr)
                for text in (amount(rate) + (MARK if rate.thin else ""), bounds(rate))
            ]
            table.add_row(Text(fixed.set_on), f"{100 * fixed.wanted_fmr:g}%", *shown)
        print_table(table)
    say(f"{MARK.strip()} rests on fewer than ten errors.")
    for sentence in verdict(report):
        say(sentence)
    counts = report.counts
    say(
        f"{counts.people} people, {counts.images} images, {counts.mated} mated and "
        f"{counts.nonmated} non-mated comparisons."
    )
    for warning in report.warnings:
        say(f"Note: {warning}")
    say(f"The report is {page}.")
