"""The command ``mfr data align``."""

from __future__ import annotations

import dataclasses
import enum
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from data_tools.cli.options import Dataset
from mfr.cli.console import print_json, print_table, progress, say
from mfr.cli.options import AsJson, Ray
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from data_tools.aligning import AlignResult

_SHOWN = 5


class OnMiss(str, enum.Enum):
    """What to do with a photo without a face."""

    skip = "skip"
    resize = "resize"
    fail = "fail"


class FaceOption(str, enum.Enum):
    """Which face to use if a photo has several."""

    main = "main"
    largest = "largest"
    central = "central"
    consistent = "consistent"


def align(
    dataset: Dataset,
    domain: Annotated[
        list[str] | None, typer.Option(help="Only this domain; may be repeated. Default: all.")
    ] = None,
    on_miss: Annotated[
        OnMiss,
        typer.Option(
            help="What to do with a photo without a face: 'skip' leaves it without a crop, "
            "'resize' uses the whole photo (for datasets that are already cropped), 'fail' stops."
        ),
    ] = OnMiss.skip,
    face: Annotated[
        FaceOption,
        typer.Option(
            help="Which face to use if a photo has several: 'main' is large and near the centre; "
            "'consistent' looks again at photos whose crop disagrees with the identity's other "
            "photos, also at those aligned earlier, and takes the face that agrees."
        ),
    ] = FaceOption.main,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model file or checkpoint that compares faces, for --face consistent.",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Network of a MODEL that is a checkpoint of another program."),
    ] = None,
    retry_missed: Annotated[
        bool, typer.Option("--retry-missed", help="Look again at photos without a crop.")
    ] = False,
    min_face: Annotated[
        float | None,
        typer.Option(
            help="Smallest face to search for, as a fraction of the photo's shorter side. "
            "Default: 0.1."
        ),
    ] = None,
    detector: Annotated[
        str, typer.Option(help="The face detector: mtcnn, yunet, or package.module:name.")
    ] = "mtcnn",
    device: Annotated[
        str, typer.Option(help="Where the detector runs: cpu, cuda, cuda:1.")
    ] = "cpu",
    batch: Annotated[int, typer.Option(help="Photos passed to the detector at once.")] = 64,
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """Detect and align faces, and write 112x112 crops to DATASET/crops.

    The command can be stopped and started again at any time; photos that were already examined are
    not examined again. For every photo without a crop, the manifest records the reason.

    On a cluster, some hundred photos are a task, and all nodes reach DATASET and its photos by the
    same paths.
    """
    from data_tools.aligning import MIN_FACE_FRACTION, align_dataset
    from mfr.models import load_encoder

    if backbone is not None and model is None:
        raise ConfigError("A backbone belongs to a model: give --model too, or leave it out.")
    encoder = None if model is None else load_encoder(model, backbone=backbone, device=device)
    align_all = None
    if ray is not None:
        from data_tools.alignment_shards import align_shard
        from mfr.cluster import on_cluster

        align_all = on_cluster(ray, align_shard)
    with progress("aligning") as report:
        result = align_dataset(
            dataset,
            domains=domain or None,
            on_miss=on_miss.value,
            face=face.value,
            encoder=encoder,
            retry_missed=retry_missed,
            min_face=MIN_FACE_FRACTION if min_face is None else min_face,
            detector=detector,
            device=device,
            batch=batch,
            align_all=align_all,
            on_progress=report,
        )
    if as_json:
        print_json(result)
    else:
        _print_alignment(dataset, result)


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
    print_table(table)
    if result.exchanged:
        say(
            f"In {len(result.exchanged)} photos another face was taken, which agrees with the "
            "other photos of the person:"
        )
        _say_some([os.path.normpath(dataset / path) for path in result.exchanged])
    if result.not_compared:
        say(
            f"Too few people to compare faces in {', '.join(result.not_compared)}: the main face "
            "was kept in every photo there."
        )
    if result.problems:
        say(f"{len(result.problems)} photos without a detected face; the manifest lists all:")
        # The manifest's paths are relative to the dataset; these can be opened from here.
        _say_some([_located(dataset / path, why) for path, why in result.problems])


def _say_some(lines: list[str]) -> None:
    """The first few lines, and how many more there are."""
    for line in lines[:_SHOWN]:
        say(f"  {line}")
    if len(lines) > _SHOWN:
        say(f"  ... and {len(lines) - _SHOWN} more")


def _located(photo: Path, why: str) -> str:
    """Why ``photo`` has no crop, with its path, which some reasons name already."""
    return why if why.startswith(str(photo)) else f"{os.path.normpath(photo)}: {why}"
