"""``mfr data``: raw photos to a dataset, thin: parse, call, print."""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from data_tools.aligning import MIN_FACE_FRACTION, AlignResult, align_dataset
from data_tools.importing import ImportResult, import_folder, import_lfw
from data_tools.inspecting import draw_contact_sheet, inspect_dataset
from data_tools.simulation.conditions import CONDITIONS
from data_tools.simulation.dataset import SimulationResult, simulate_domain
from data_tools.splitting import split_dataset

app = typer.Typer(
    name="data",
    help="Make a dataset of aligned crops from your photos, and split it by person.",
    no_args_is_help=True,
)
import_app = typer.Typer(help="Add photos to a dataset.", no_args_is_help=True)
app.add_typer(import_app, name="import")

_SHOWN_PROBLEMS = 5
_LOG_SECONDS = 10.0

Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of the dataset.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Photos = Annotated[
    Path, typer.Argument(metavar="PHOTOS", help="Folder that holds a folder for each identity.")
]
Out = Annotated[
    Path,
    typer.Option(metavar="DATASET", help="The dataset's directory, made where there is none."),
]
People = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="CSV with columns domain, identity, person, joining one human's identities. By "
        "default the same name, without case, accents and signs, is the same human.",
    ),
]
Licence = Annotated[
    str | None,
    typer.Option(metavar="NOTE", help="The photos' licence or source, kept in the manifest."),
]


class OnMiss(str, enum.Enum):
    """What becomes of a photo without a face."""

    skip = "skip"
    resize = "resize"
    fail = "fail"


class FaceOption(str, enum.Enum):
    """Which face counts."""

    largest = "largest"
    central = "central"


Condition = enum.Enum("Condition", {name: name for name in CONDITIONS}, type=str)  # type: ignore[misc]

Source = Annotated[str, typer.Option("--from", metavar="DOMAIN", help="Domain whose crops to use.")]
Name = Annotated[str, typer.Option("--as", metavar="DOMAIN", help="Name of the new domain.")]
Seed = Annotated[int, typer.Option(help="Another seed, other drawings.")]
Processes = Annotated[
    int | None, typer.Option(help="Processes that draw. Default: one a processor.")
]


@import_app.command("folder")
def import_folder_command(
    photos: Photos,
    domain: Annotated[str, typer.Option(help="Name of the domain these photos make up.")],
    out: Out,
    people: People = None,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Add PHOTOS/<identity>/<image> as one domain; again adds only what is new.

    Nothing is decoded, moved or copied: the photos must stay where they are.
    """
    _print_import(
        import_folder(photos, out, domain=domain, people=people, licence=licence), as_json
    )


@import_app.command("lfw")
def import_lfw_command(
    photos: Photos,
    out: Out,
    domain: Annotated[str, typer.Option(help="Name of the domain.")] = "lfw",
    people: People = None,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Add Labeled Faces in the Wild, checking that its files are named as its pairs need."""
    _print_import(import_lfw(photos, out, domain=domain, people=people, licence=licence), as_json)


@app.command("align")
def align_command(
    dataset: Dataset,
    domain: Annotated[
        list[str] | None, typer.Option(help="Only this domain; may be repeated. Default: all.")
    ] = None,
    on_miss: Annotated[
        OnMiss,
        typer.Option(
            help="A photo without a face: 'skip' leaves it without a crop, 'resize' takes the "
            "whole photo (for sets that are cropped already), 'fail' stops."
        ),
    ] = OnMiss.skip,
    face: Annotated[
        FaceOption, typer.Option(help="Which face counts where a photo has several.")
    ] = FaceOption.largest,
    retry_missed: Annotated[
        bool, typer.Option("--retry-missed", help="Look again at photos without a crop.")
    ] = False,
    min_face: Annotated[
        float,
        typer.Option(help="Smallest face searched for, as a share of the photo's short side."),
    ] = MIN_FACE_FRACTION,
    device: Annotated[
        str, typer.Option(help="Where the detector runs: cpu, cuda, cuda:1.")
    ] = "cpu",
    batch: Annotated[int, typer.Option(help="Photos given to the detector at once.")] = 64,
    as_json: Json = False,
) -> None:
    """Detect and align faces: 112x112 crops in DATASET/crops.

    It can be stopped and started again at any time; photos that were looked at are not looked at
    again. Every photo without a crop is in the manifest with its reason.
    """
    with _progress("aligning") as report:
        result = align_dataset(
            dataset,
            domains=domain or None,
            on_miss=on_miss.value,
            face=face.value,
            retry_missed=retry_missed,
            min_face=min_face,
            device=device,
            batch=batch,
            on_progress=report,
        )
    if as_json:
        _print_json(result)
    else:
        _print_alignment(result)


@app.command("mask")
def mask_command(
    dataset: Dataset,
    source: Source,
    name: Name,
    seed: Seed = 0,
    processes: Processes = None,
    as_json: Json = False,
) -> None:
    """Draw masks on the faces of a domain: a new domain of the same people.

    Surgical masks, respirators, cloth, patterned and black ones, placed on a head posed by each
    face's landmarks and lit as the face is. Faces without landmarks or turned too far are left
    out. What was drawn is in DATASET/simulated/NAME.parquet. Can be stopped and started again.
    """
    _simulate(dataset, source, name, "mask", seed, processes, as_json)


@app.command("simulate")
def simulate_command(
    dataset: Dataset,
    source: Source,
    name: Name,
    condition: Annotated[Condition, typer.Option(help="What the new domain shows.")],
    seed: Seed = 0,
    processes: Processes = None,
    as_json: Json = False,
) -> None:
    """Make a new domain of the same people from a domain's crops, under another condition.

    These are approximations: nir and sketch are made from the colours of the photo, and glasses
    do not refract. Can be stopped and started again.
    """
    _simulate(dataset, source, name, condition.value, seed, processes, as_json)


@app.command("split")
def split_command(
    dataset: Dataset,
    test: Annotated[float, typer.Option(help="Share of the people to test on.")] = 0.3,
    val: Annotated[float, typer.Option(help="Share of the people to validate on.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 0,
    as_json: Json = False,
) -> None:
    """Split by person over all domains: nobody stands on two sides. Replaces an earlier split."""
    result = split_dataset(dataset, test=test, val=val, seed=seed)
    if as_json:
        _print_json(result)
        return
    table = Table(Column("domain", no_wrap=True), *(f"{side} people" for side in result.people))
    for name, people in result.domains.items():
        table.add_row(escape(name), *map(str, people.values()))
    table.add_section()
    table.add_row("all people", *map(str, result.people.values()))
    table.add_row("all images", *map(str, result.images.values()))
    _console().print(table)


@app.command("inspect")
def inspect_command(
    dataset: Dataset,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="Where the contact sheet goes (.png or .jpg). Default: DATASET/contact.png.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Which crops the contact sheet shows.")] = 0,
    as_json: Json = False,
) -> None:
    """Show a table of domains and splits, and draw a contact sheet of the crops."""
    parts = inspect_dataset(dataset)
    picture: Path | None = None
    if out is not None or any(part.detected + part.resized + part.given for part in parts):
        picture = out or dataset / "contact.png"
        draw_contact_sheet(dataset, picture, seed=seed)
    if as_json:
        _print_json({"parts": [dataclasses.asdict(part) for part in parts], "picture": picture})
        return
    table = Table(
        Column("domain", no_wrap=True),
        "split",
        Column("people", no_wrap=True),
        Column("images", no_wrap=True),
        Column("detected", no_wrap=True),
        Column("resized", no_wrap=True),
        Column("given", no_wrap=True),
        Column("missed", no_wrap=True),
        "per person",
        box=box.SIMPLE_HEAD,
    )
    for part in parts:
        table.add_row(
            escape(part.domain),
            part.split,
            str(part.people),
            str(part.images),
            str(part.detected),
            str(part.resized),
            str(part.given),
            str(part.missed),
            f"{part.images_per_person:g}",
        )
    _console().print(table)
    if picture is None:
        _say("No crops yet: run 'mfr data align' for a contact sheet.")
    else:
        _say(f"Contact sheet: {picture}")


def _print_import(result: ImportResult, as_json: bool) -> None:
    if as_json:
        _print_json(result)
        return
    _say(
        f"{result.domain}: {result.images} images of {result.identities} identities "
        f"({result.people} people); {result.added} added, "
        f"{result.images - result.added} there already."
    )
    if result.ignored:
        _say(f"{result.ignored} other files were ignored.")
    if result.guessed:
        _say(f"{result.guessed} identities are not in the people file: their names were taken.")


def _print_alignment(result: AlignResult) -> None:
    table = Table(
        Column("domain", no_wrap=True),
        "images",
        "detected",
        "resized",
        "given",
        "missed",
        "unreadable",
        "pending",
    )
    for row in result.domains:
        domain, *counts = dataclasses.astuple(row)
        table.add_row(escape(domain), *map(str, counts))
    _console().print(table)
    if result.problems:
        _say(f"{len(result.problems)} photos without a detected face; the manifest lists all:")
        for path, problem in result.problems[:_SHOWN_PROBLEMS]:
            _say(f"  {path}: {problem}")
        if len(result.problems) > _SHOWN_PROBLEMS:
            _say(f"  ... and {len(result.problems) - _SHOWN_PROBLEMS} more")


def _simulate(
    dataset: Path,
    source: str,
    name: str,
    condition: str,
    seed: int,
    processes: int | None,
    as_json: bool,
) -> None:
    with _progress("drawing") as report:
        result = simulate_domain(
            dataset,
            source=source,
            name=name,
            condition=condition,
            seed=seed,
            processes=processes,
            on_progress=report,
        )
    if as_json:
        _print_json(result)
    else:
        _print_simulation(result)


def _print_simulation(result: SimulationResult) -> None:
    _say(f"{result.domain}: {result.images} crops, {result.drawn} of them drawn now.")
    for what, counts in (
        ("Skipped", result.skipped),
        ("Kinds", result.kinds),
        ("Worn", result.placements),
    ):
        if counts:
            _say(f"{what}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    if result.coverage is not None:
        mean, low, middle, high = (f"{100 * share:.0f}%" for share in result.coverage.values())
        _say(f"Of the face covered: {mean} on average, median {middle}, 5 to 95%: {low} to {high}.")


def _print_json(result: Any) -> None:
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = dataclasses.asdict(result)
    typer.echo(json.dumps(result, indent=2, default=str))


def _say(sentence: str) -> None:
    typer.echo(sentence)


def _console() -> Console:
    return Console(highlight=False)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Report progress on standard error: a bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        columns = (
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    started = time.monotonic()
    last = [started]

    def log(done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] >= _LOG_SECONDS or done == total:
            last[0] = now
            typer.echo(
                f"{what}: {done} of {total} ({done / max(now - started, 1e-9):.1f} a second)",
                err=True,
            )

    yield log
