"""``mfr data``: raw photos to a dataset, thin: parse, call, print."""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from data_tools.aligning import MIN_FACE_FRACTION, AlignResult, align_dataset
from data_tools.importing.adding import ImportResult
from data_tools.importing.folder import import_folder
from data_tools.importing.ivs import import_ivs
from data_tools.importing.lfw import import_lfw
from data_tools.importing.meglass import import_meglass
from data_tools.importing.mfr2 import import_mfr2
from data_tools.importing.nir_vis import import_nir_vis
from data_tools.importing.packs.huggingface import HuggingFaceDataset
from data_tools.importing.packs.insightface_rec import InsightFaceRec
from data_tools.importing.packs.pack import Pack
from data_tools.importing.packs.unpacking import PackResult, import_pack
from data_tools.importing.packs.verification_bin import VerificationBin
from data_tools.importing.packs.webdataset import WebDatasetShards
from data_tools.importing.rfw import import_rfw
from data_tools.importing.table import import_table
from data_tools.inspecting import draw_contact_sheet, inspect_dataset
from data_tools.simulation.conditions import CONDITIONS
from data_tools.simulation.dataset import SimulationResult, simulate_domain
from data_tools.splitting import split_dataset
from data_tools.synth.dataset import SynthResult, synthesise
from data_tools.synth.domains import DOMAINS
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from data_tools.checking.fixing import Fix

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


PackDomain = Annotated[
    str, typer.Option(help="Name of the domain; a domain takes one pack and nothing else.")
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


@import_app.command("table")
def import_table_command(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="File .csv or .parquet.")],
    out: Out,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="What the paths are relative to; by default TABLE's folder."
        ),
    ] = None,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Add the images a table lists: columns path, identity, domain; person, split, landmarks too.

    Nothing is decoded, moved or copied: the photos must stay where they are.
    """
    _print_import(import_table(table, out, photos=photos, licence=licence), as_json)


@import_app.command("lfw")
def import_lfw_command(
    photos: Photos,
    out: Out,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="PAIRS.TXT", help="LFW's list of pairs, kept as its protocol."),
    ] = None,
    domain: Annotated[str, typer.Option(help="Name of the domain and the protocol.")] = "lfw",
    people: People = None,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Add Labeled Faces in the Wild, checking that its files are named as its pairs need."""
    result = import_lfw(photos, out, domain=domain, pairs=pairs, people=people, licence=licence)
    _print_import(result, as_json)


@import_app.command("mfr2")
def import_mfr2_command(
    folder: Annotated[
        Path, typer.Argument(metavar="MFR2", help="Folder of its identity folders and pairs.txt.")
    ],
    out: Out,
    as_json: Json = False,
) -> None:
    """Add MFR2, real masks: domains mfr2_masked and mfr2_plain, and its pairs."""
    _print_import(import_mfr2(folder, out), as_json)


@import_app.command("rfw")
def import_rfw_command(
    folder: Annotated[
        Path, typer.Argument(metavar="TEST", help="RFW's folder 'test', with data and txts.")
    ],
    out: Out,
    as_json: Json = False,
) -> None:
    """Add Racial Faces in the Wild: four domains with their pairs and landmarks."""
    _print_import(import_rfw(folder, out), as_json)


@import_app.command("nir-vis")
def import_nir_vis_command(
    folder: Annotated[
        Path, typer.Argument(metavar="NIR-VIS-2.0", help="Folder that holds 'protocols'.")
    ],
    out: Out,
    as_json: Json = False,
) -> None:
    """Add CASIA NIR-VIS 2.0: domains nir and vis of the same people, and its folds of searches."""
    _print_import(import_nir_vis(folder, out), as_json)


@import_app.command("ivs")
def import_ivs_command(
    photos: Photos,
    gallery: Annotated[
        Path, typer.Option(metavar="LIST", help="Photos from documents, a path a line.")
    ],
    probes: Annotated[
        Path, typer.Option(metavar="LIST", help="Photos taken on the spot, a path a line.")
    ],
    out: Out,
    domain: Annotated[str, typer.Option(help="What the names begin with.")] = "ivs",
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Add photos of identity documents and on-the-spot photos of the same people."""
    result = import_ivs(photos, out, gallery=gallery, probes=probes, domain=domain, licence=licence)
    _print_import(result, as_json)


@import_app.command("meglass")
def import_meglass_command(
    folder: Annotated[
        Path, typer.Argument(metavar="MEGLASS", help="Folder that holds meta.txt and test.")
    ],
    out: Out,
    images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The images; by default MEGLASS/MeGlass_120x120."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add MeGlass: domains with and without glasses, and its four protocols."""
    _print_import(import_meglass(folder, out, images=images), as_json)


@import_app.command("bin")
def import_bin_command(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="The file, such as lfw.bin.")],
    domain: PackDomain,
    out: Out,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Add a verification pack of the ArcFace world, with its pairs as a protocol of ten folds.

    The pickle is never run: all but plain lists of images and booleans is refused.
    """
    _import_pack(VerificationBin(pack), out, domain, None, licence, as_json)


@import_app.command("rec")
def import_rec_command(
    pack: Annotated[
        Path, typer.Argument(metavar="PACK", help="A .rec file, or the folder with train.rec.")
    ],
    domain: PackDomain,
    out: Out,
    people: People = None,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Add a training pack of InsightFace (MXNet RecordIO); MXNet is not needed.

    It can be stopped and started again at any time. Labels are kept as the identities.
    """
    _import_pack(InsightFaceRec(pack), out, domain, people, licence, as_json)


@import_app.command("webdataset")
def import_webdataset_command(
    shards: Annotated[
        Path, typer.Argument(metavar="SHARDS", help="A .tar file, or the folder with them.")
    ],
    domain: PackDomain,
    out: Out,
    label: Annotated[
        str, typer.Option(help="Field of the .json files with the identity.")
    ] = "identity",
    people: People = None,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Add WebDataset shards: KEY.jpg (or .png, ...) with the identity in KEY.cls or KEY.json.

    It can be stopped and started again at any time. Nothing is extracted by its name in the tar.
    """
    pack = WebDatasetShards(shards, label=label)
    _import_pack(pack, out, domain, people, licence, as_json)


@import_app.command("huggingface")
def import_huggingface_command(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder of save_to_disk or of Parquet files."),
    ],
    domain: PackDomain,
    out: Out,
    label: Annotated[
        str | None,
        typer.Option(
            help="Column with the identity. Default: identity, label, or the only ClassLabel."
        ),
    ] = None,
    people: People = None,
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Add a Hugging Face dataset on the disk, all its splits; the datasets library is not needed.

    It can be stopped and started again at any time.
    """
    pack = HuggingFaceDataset(folder, label=label)
    _import_pack(pack, out, domain, people, licence, as_json)


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
        _print_alignment(dataset, result)


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


@app.command("synth")
def synth_command(
    out: Out,
    identities: Annotated[int, typer.Option(help="Synthetic people.")] = 100,
    images: Annotated[int, typer.Option(help="Images of each person in each domain.")] = 10,
    domains: Annotated[
        str, typer.Option(metavar="NAMES", help=f"Separated by commas: {', '.join(DOMAINS)}.")
    ] = "daylight,nir,surveillance,mask_surgical",
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 0,
    photo_size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Draw photos of this size instead of aligned crops, to be aligned afterwards.",
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="Processes that draw. Default: one a processor.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw synthetic faces: 3D heads of nobody, under many imaging conditions.

    It can be stopped and started again at any time. The exact landmarks, pose, light and age of
    every image are in DATASET/synth.parquet.
    """
    with _progress("drawing") as report:
        result = synthesise(
            out,
            identities=identities,
            images=images,
            domains=[name.strip() for name in domains.split(",") if name.strip()],
            seed=seed,
            photo_size=photo_size,
            processes=processes,
            on_progress=report,
        )
    if as_json:
        _print_json(result)
    else:
        _print_synthesis(result)


@app.command("check")
def check_command(
    dataset: Dataset,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model file or checkpoint that sees who looks like whom; without it people are "
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
            "pictures that bear several people's names; the old one is kept beside it. No image "
            "file is touched, no suspicion acted on. Importing again brings dropped rows back.",
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="Where the model runs: cpu, cuda, cuda:1.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Look for what is wrong: broken files, duplicates, wrong names, shared people, shortcuts.

    The report with pictures is DATASET/check/report.html, everything found is in report.json
    beside it.

    Example: mfr data check DATASET --model MODEL
    """
    from data_tools.checking.check import check_dataset
    from mfr.encoder import Encoder

    if backbone is not None and model is None:
        raise ConfigError("A backbone belongs to a model: give --model too, or leave it out.")
    encoder = None if model is None else Encoder.load(model, backbone=backbone, device=device)
    with _progress("checking") as report:
        result = check_dataset(dataset, encoder=encoder, fix=fix, on_progress=report)
    if as_json:
        found = [
            {"kind": f.kind, "count": f.count, "severity": f.severity, "advice": f.advice}
            for f in result.findings
        ]
        _print_json({**vars(result), "findings": found, "fix": result.fix and vars(result.fix)})
        return
    table = Table("finding", "cases", "severity", "what to do", box=box.SIMPLE_HEAD)
    for finding in result.findings:
        done = ("–", "nothing") if not finding.count else (finding.severity, finding.advice)
        table.add_row(finding.title, str(finding.count), *done)
    _console().print(table)
    if model is None:
        _say("No model was given, so people were not compared: pass --model MODEL.")
    if result.fix is not None:
        _say(_fix_sentence(result.fix))
    _say(f"The report is {result.report_html}.")


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
    # What nobody has is left out: the table has to fit on a terminal of 80 columns.
    counts = [
        name
        for name in ("detected", "resized", "given", "missed")
        if name == "detected" or any(getattr(part, name) for part in parts)
    ]
    heads = ("split", "people", "images", *counts, "each")
    table = Table(*(Column(name, no_wrap=True) for name in ("domain", *heads)), box=box.SIMPLE_HEAD)
    for part in parts:
        shown = (part.split, part.people, part.images, *(getattr(part, name) for name in counts))
        table.add_row(escape(part.domain), *map(str, shown), f"{part.images_per_person:g}")
    _console().print(table)
    if picture is None:
        _say("No crops yet: run 'mfr data align' for a contact sheet.")
    else:
        _say(f"Contact sheet: {picture}")


def _import_pack(
    pack: Pack,
    out: Path,
    domain: str,
    people: Path | None,
    licence: str | None,
    as_json: bool,
) -> None:
    with _progress("importing") as report:
        result = import_pack(
            pack, out, domain=domain, people=people, licence=licence, on_progress=report
        )
    _print_import(result, as_json)
    if not as_json:
        _print_pack(result)


def _print_pack(result: PackResult) -> None:
    _say(f"{result.crops} are aligned crops already.")
    if result.photos:
        _say(f"{result.photos} are photos: run 'mfr data align' next.")
    if result.damaged:
        _say(f"{result.damaged} are damaged; the manifest says which and why.")


def _print_import(result: ImportResult, as_json: bool) -> None:
    if as_json:
        _print_json(result)
        return
    for part in result.domains:
        _say(
            f"{part.domain}: {part.images} images of {part.identities} identities "
            f"({part.people} people); {part.added} added, {part.images - part.added} there already."
        )
    for name in result.protocols:
        _say(
            f"Protocol {name}: run it with 'mfr benchmark MODEL --data DATASET --protocol {name}'."
        )
    if result.ignored:
        _say(f"{result.ignored} other files were ignored.")
    if result.guessed:
        _say(f"{result.guessed} identities are not in the people file: their names were taken.")


def _print_synthesis(result: SynthResult) -> None:
    _say(
        f"{result.images} images of {result.identities} synthetic people in "
        f"{', '.join(result.domains)}; {result.drawn} drawn now."
    )


def _fix_sentence(fix: Fix) -> str:
    if fix.backup is None:
        return "Nothing was certainly wrong: the manifest stays as it is."
    return (
        f"Dropped {len(fix.unreadable)} unreadable rows, {len(fix.duplicates)} copies and "
        f"{len(fix.cross_person)} rows of pictures with several people's names; "
        f"{len(fix.realign)} rows lost their crop (run 'mfr data align'). "
        f"The manifest before is {fix.backup}."
    )


def _print_alignment(dataset: Path, result: AlignResult) -> None:
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
            # The manifest's paths are relative to the dataset; these can be opened from here.
            _say(f"  {os.path.normpath(dataset / path)}: {problem}")
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
    # A file or a pipe has no width: nothing is to be cut there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
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

    def log(done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - last[0] >= _LOG_SECONDS or done == total:
            last[0] = now
            rate = done / max(now - started, 1e-9)
            of = f" of {total}" if total is not None else ""
            typer.echo(f"{what}: {done}{of} ({rate:.1f} a second)", err=True)

    yield log
