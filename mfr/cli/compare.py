"""``mfr compare``."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from mfr.cli.console import (
    counted,
    measured_where,
    print_json,
    print_table,
    progress,
    say,
    tell,
)
from mfr.cli.options import (
    AsJson,
    Backbone,
    Condition,
    DetectorOption,
    Device,
    Face,
    FaceOption,
    Fmr,
    GalleryModel,
    Threshold,
)

if TYPE_CHECKING:
    from mfr.comparing import Comparison, Terms


def compare(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of photos, with folders below it.")
    ],
    model: GalleryModel = None,
    backbone: Backbone = None,
    fmr: Fmr = 1e-3,
    threshold: Threshold = None,
    condition: Condition = None,
    face: FaceOption = Face.main,
    top: Annotated[int, typer.Option(help="Give so many pairs at most.")] = 50,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write all pairs into this file instead."),
    ] = None,
    detector: DetectorOption = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Compare all photos of a folder: copies, nearly the same pictures, the same people.

    Only pairs that have something in common are told, copies first, then by their score. A pair is
    held against the threshold that --fmr has for faces like its two, such as a photograph and a
    drawing; it is told at the end where each threshold was measured and how many pairs it judged.
    Photos that cannot be read or show no face get a line each, and the others are compared.

    Example: mfr compare PHOTOS --csv pairs.csv
    """
    from mfr import atomic
    from mfr.comparing import compare_all, relative_to
    from mfr.models import DEFAULT
    from mfr.photo_folder import photos_below
    from mfr.recogniser import Recogniser

    photos = photos_below(folder)
    recogniser = Recogniser.load(
        model or DEFAULT, backbone=backbone, detector=detector, device=device
    )
    with progress("comparing") as report:
        result = compare_all(
            recogniser,
            photos,
            fmr=fmr,
            threshold=threshold,
            condition=condition,
            face=face.value,
            top=None if csv_file is not None else top,
            on_progress=report,
        )
    result = relative_to(result, folder)
    if csv_file is not None:
        atomic.write_text(csv_file, _as_csv(result))
    if as_json:
        print_json({**dataclasses.asdict(result), "left_out": result.left_out})
        return
    for path, why in result.problems:
        tell(f"Not compared: {why if path in why else f'{path}: {why}'}")
    if csv_file is None and result.pairs:
        _print_pairs(result)
    for each in result.terms:
        for warning in each.warnings:
            tell(f"Note: {counted(each.comparisons, 'pair')}: {warning}")
    say(_summary(result))
    for each in result.terms:
        say(_grounds(each))
    if result.by_chance is not None:
        say(
            f"By chance, about {result.by_chance:.2g} pairs of so many strangers would reach "
            f"{'it' if len(result.terms) == 1 else 'them'}."
        )
    if csv_file is not None:
        say(f"All pairs are in {csv_file}.")
    elif result.left_out:
        say(
            f"{counted(result.left_out, 'more pair')} with a lower score: raise --top, or write "
            "all with --csv FILE."
        )


def _print_pairs(result: Comparison) -> None:
    rated = any(pair.fmr is not None for pair in result.pairs)
    named = any(pair.condition for pair in result.pairs)
    columns = ["False-match rate"] * rated + ["Measured on"] * named
    photos = [Column(name, overflow="fold") for name in ("First", "Second")]
    table = Table(*photos, "In common", "Score", *columns)
    for pair in result.pairs:
        score = "–" if pair.score is None else f"{pair.score:.4f}"
        rate = "–" if pair.fmr is None else f"{pair.fmr:.2g}"
        cells = [rate] * rated + [pair.condition or "–"] * named
        table.add_row(Text(pair.first), Text(pair.second), pair.kind, score, *cells)
    print_table(table)


def _summary(result: Comparison) -> str:
    kinds = (
        f"{counted(result.found['same file'], 'pair')} of the same file, "
        f"{counted(result.found['same picture'], 'pair')} of nearly the same picture and "
        f"{counted(result.found['same person'], 'pair')} of the same person"
    )
    return (
        f"{counted(result.photos, 'photo')}, {result.compared} of them different and with a face, "
        f"{counted(result.comparisons, 'pair')} compared: {kinds}."
    )


def _grounds(terms: Terms) -> str:
    """By what so many pairs were judged, and where that was measured."""
    rate = (
        "false-match rate not known" if terms.fmr is None else f"false-match rate {terms.fmr:.2g}"
    )
    where = "" if terms.measured is None else f", measured on {measured_where(terms.measured)}"
    return (
        f"{counted(terms.comparisons, 'pair')} judged by threshold {terms.threshold:.4f}: "
        f"{rate}{where}."
    )


def _as_csv(result: Comparison) -> str:
    from mfr.csv_rows import guarded

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("first", "second", "in_common", "score", "fmr", "threshold", "condition", "people")
    )
    for pair in result.pairs:
        score = "" if pair.score is None else f"{pair.score:.6f}"
        fmr = "" if pair.fmr is None else f"{pair.fmr:.3g}"
        threshold = "" if pair.threshold is None else f"{pair.threshold:.6f}"
        people = "" if pair.people is None else pair.people
        photos = (guarded(pair.first), guarded(pair.second))
        writer.writerow((*photos, pair.kind, score, fmr, threshold, pair.condition, people))
    return text.getvalue()
