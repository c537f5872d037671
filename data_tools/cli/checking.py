"""The commands ``mfr data check`` and ``mfr data inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Column, Table

from data_tools.cli.options import Dataset
from mfr.cli.console import print_json, print_table, progress, say
from mfr.cli.options import AsJson
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from data_tools.checking.fixing import Fix


def check(
    dataset: Dataset,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model file or checkpoint with which to compare people; without it, people are "
            "not checked.",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Network of a MODEL that is a checkpoint of another program."),
    ] = None,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Write a manifest without unreadable rows, copies within an identity, and "
            "pictures under several people's names; keep the old manifest beside it. No image "
            "file is changed, and mere suspicions have no effect. A new import restores the "
            "dropped rows.",
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="Where the model runs: cpu, cuda, cuda:1.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Look for errors: broken files, duplicates, wrong names, shared people, shortcuts.

    The report with pictures is DATASET/check/report.html; all findings are in report.json beside
    it.

    Example: mfr data check DATASET --model MODEL
    """
    from data_tools.checking.check import check_dataset
    from mfr.models import load_encoder

    if backbone is not None and model is None:
        raise ConfigError("A backbone belongs to a model: give --model too, or leave it out.")
    encoder = None if model is None else load_encoder(model, backbone=backbone, device=device)
    with progress("checking") as report:
        result = check_dataset(dataset, encoder=encoder, fix=fix, on_progress=report)
    if as_json:
        found = [
            {"kind": f.kind, "count": f.count, "severity": f.severity, "advice": f.advice}
            for f in result.findings
        ]
        print_json({**vars(result), "findings": found, "fix": result.fix and vars(result.fix)})
        return
    table = Table("finding", "cases", "severity", "what to do", box=box.SIMPLE_HEAD)
    for finding in result.findings:
        done = ("–", "nothing") if not finding.count else (finding.severity, finding.advice)
        table.add_row(finding.title, str(finding.count), *done)
    print_table(table)
    if model is None:
        say("No model was given, so people were not compared: pass --model MODEL.")
    if result.fix is not None:
        say(_fix_sentence(result.fix))
    say(f"The report is {result.report_html}.")


def inspect(
    dataset: Dataset,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="File for the contact sheet (.png or .jpg). Default: DATASET/contact.png.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the choice of crops for the contact sheet.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Show a table of domains and splits, and draw a contact sheet of the crops."""
    from data_tools.inspecting import draw_contact_sheet, inspect_dataset
    from mfr.data.manifest import Manifest

    parts = inspect_dataset(dataset)
    picture: Path | None = None
    if out is not None or any(part.detected + part.resized + part.given for part in parts):
        picture = out or dataset / "contact.png"
        draw_contact_sheet(dataset, picture, seed=seed)
    if as_json:
        print_json({"parts": parts, "picture": picture})
        return
    # Counts that are zero everywhere are left out, so that the table fits 80 columns.
    counts = [
        name
        for name in ("detected", "resized", "given", "missed", "pending")
        if name == "detected" or any(getattr(part, name) for part in parts)
    ]
    heads = ("split", "people", "images", *counts, "each")
    table = Table(*(Column(name, no_wrap=True) for name in ("domain", *heads)), box=box.SIMPLE_HEAD)
    for part in parts:
        shown = (part.split, part.people, part.images, *(getattr(part, name) for name in counts))
        table.add_row(escape(part.domain), *map(str, shown), f"{part.images_per_person:g}")
    print_table(table)
    if picture is None:
        say(f"No crops for a contact sheet: {Manifest.read(dataset).why_no_crops()}.")
    else:
        say(f"Contact sheet: {picture}")


def _fix_sentence(fix: Fix) -> str:
    if fix.backup is None:
        return "Nothing was certainly wrong: the manifest is unchanged."
    return (
        f"Dropped {len(fix.unreadable)} unreadable rows, {len(fix.duplicates)} copies and "
        f"{len(fix.cross_person)} rows of pictures with several people's names; "
        f"{len(fix.realign)} rows lost their crop (run 'mfr data align'). "
        f"The old manifest is {fix.backup}."
    )
