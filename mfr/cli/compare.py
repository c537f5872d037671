"""``mfr compare``."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from mfr.cli.console import counted, print_json, print_table, progress, say, tell
from mfr.cli.options import AsJson, Backbone, Device, Face, FaceOption, Fmr, GalleryModel, Threshold

if TYPE_CHECKING:
    from mfr.comparing import Comparison


def compare(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of photos, with folders below it.")
    ],
    model: GalleryModel = None,
    backbone: Backbone = None,
    fmr: Fmr = 1e-3,
    threshold: Threshold = None,
    face: FaceOption = Face.main,
    top: Annotated[int, typer.Option(help="Give so many pairs at most.")] = 50,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write all pairs into this file instead."),
    ] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Compare all photos of a folder: copies, nearly the same pictures, the same people.

    Only pairs that have something in common are told, copies first, then by their score. Photos
    that cannot be read or show no face get a line each, and the others are compared all the same.

    Example: mfr compare PHOTOS --csv pairs.csv
    """
    from mfr import atomic
    from mfr.comparing import compare_all, relative_to
    from mfr.models import DEFAULT
    from mfr.photo_folder import photos_below
    from mfr.recogniser import Recogniser

    photos = photos_below(folder)
    recogniser = Recogniser.load(model or DEFAULT, backbone=backbone, device=device)
    with progress("comparing") as report:
        result = compare_all(
            recogniser,
            photos,
            fmr=fmr,
            threshold=threshold,
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
    say(_summary(result))
    if csv_file is not None:
        say(f"All pairs are in {csv_file}.")
    elif result.left_out:
        say(
            f"{counted(result.left_out, 'more pair')} with a lower score: raise --top, or write "
            "all with --csv FILE."
        )


def _print_pairs(result: Comparison) -> None:
    rated = result.fmr is not None
    table = Table("First", "Second", "In common", "Score", *["False-match rate"] * rated)
    for pair in result.pairs:
        score = "–" if pair.score is None else f"{pair.score:.4f}"
        rate = "–" if pair.fmr is None else f"{pair.fmr:.2g}"
        table.add_row(Text(pair.first), Text(pair.second), pair.kind, score, *[rate] * rated)
    print_table(table)


def _summary(result: Comparison) -> str:
    kinds = (
        f"{counted(result.found['same file'], 'pair')} of the same file, "
        f"{counted(result.found['same picture'], 'pair')} of nearly the same picture and "
        f"{counted(result.found['same person'], 'pair')} of the same person"
    )
    risk = (
        ""
        if result.fmr is None
        else f" By chance, about {result.fmr * result.comparisons:.2g} pairs of so many strangers "
        "would reach it."
    )
    return (
        f"{counted(result.photos, 'photo')}, {result.compared} of them different and with a face, "
        f"{counted(result.comparisons, 'pair')} compared: {kinds} "
        f"(threshold {result.threshold:.4f}).{risk}"
    )


def _as_csv(result: Comparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("first", "second", "in_common", "score", "fmr"))
    for pair in result.pairs:
        score = "" if pair.score is None else f"{pair.score:.6f}"
        fmr = "" if pair.fmr is None else f"{pair.fmr:.3g}"
        writer.writerow((pair.first, pair.second, pair.kind, score, fmr))
    return text.getvalue()
