"""The command ``mfr data cluster``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_tools.cli.options import Out
from mfr.cli.console import counted, print_json, progress, say
from mfr.cli.options import AsJson
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from data_tools.clustering.cluster import ClusterResult, NamesResult

_SHOWN = 5


def cluster(
    out: Out,
    photos: Annotated[
        Path | None,
        typer.Argument(
            metavar="PHOTOS",
            help="Folder of the photos, with folders below it; left out with --apply.",
            show_default=False,
        ),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Name, join, split and drop the groups of DATASET as this file says: columns "
            "group and name, and path where one photo is meant.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model file, or a name that 'mfr models' lists, which compares faces; "
            "dlib-resnet if not given.",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Network of a MODEL that is a checkpoint of another program."),
    ] = None,
    domain: Annotated[
        str, typer.Option(help="Name of the domain that the groups form.")
    ] = "photos",
    fmr: Annotated[
        float | None,
        typer.Option(
            help="Merge groups from the threshold on that is calibrated for this false-match "
            "rate. Default: one over the number of faces, at most 0.003."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Merge groups from this mean cosine on, instead of a calibrated one."),
    ] = None,
    min_photos: Annotated[
        int, typer.Option(help="Photos of the smallest group; faces of smaller ones are left out.")
    ] = 2,
    device: Annotated[
        str, typer.Option(help="Where detector and model run: cpu, cuda, cuda:1.")
    ] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Group photos without labels by person; then name, join and split the groups.

    Of every photo the main face counts. The groups are shown on DATASET/cluster/groups.html, and
    names.csv beside it is to be filled in. The result is an ordinary dataset; a second call looks
    only at what is new.

    Examples: mfr data cluster PHOTOS --out DATASET

    mfr data cluster --out DATASET --apply DATASET/cluster/names.csv
    """
    from data_tools.clustering.cluster import apply_names, cluster_photos

    if apply is not None:
        if photos is not None:
            raise ConfigError("--apply names the groups that DATASET has: leave PHOTOS out.")
        named = apply_names(out, apply)
        if as_json:
            print_json(named)
        else:
            _print_names(named)
        return
    if photos is None:
        raise ConfigError("Name the folder of the photos, or pass --apply CSV to name groups.")
    from mfr.models import DEFAULT, load_encoder

    encoder = load_encoder(model or DEFAULT, backbone=backbone, device=device)
    with progress("grouping") as report:
        result = cluster_photos(
            photos,
            out,
            encoder=encoder,
            domain=domain,
            fmr=fmr,
            threshold=threshold,
            min_photos=min_photos,
            device=device,
            on_progress=report,
        )
    if as_json:
        print_json(result)
    else:
        _print_groups(result)


def _print_groups(result: ClusterResult) -> None:
    groups = counted(result.groups, "group")
    say(
        f"{counted(result.photos, 'photo')}: {result.grouped} in {groups}, {result.alone} whose "
        f"face belongs to no group, {len(result.missed)} without a face. Groups were merged from "
        f"a mean cosine of {result.cut:.3f} on."
    )
    for path, why in result.missed[:_SHOWN]:
        say(f"  {why}" if why.startswith(path) else f"  {path}: {why}")
    if len(result.missed) > _SHOWN:
        say(f"  ... and {len(result.missed) - _SHOWN} more; groups.csv lists all")
    for left in result.left_out:
        more = ", ..." if left.count > len(left.examples) else ""
        say(f"Left out: {left.count} {left.reason}: {', '.join(left.examples)}{more}.")
    if result.uncertain:
        say(
            f"{counted(result.uncertain, 'group')} with a face that fits less than the cut: the "
            "page shows them first."
        )
    say(f"Look at {result.page}, fill in {result.names}, and apply it with --apply.")


def _print_names(result: NamesResult) -> None:
    say(
        f"The dataset has {counted(result.images, 'image')} of {result.identities} identities, "
        f"{result.named} of them named; {result.dropped} photos of groups were dropped. Split it "
        "(again) with 'mfr data split'."
    )
    for one, what in (
        (result.joined, "were taken for a person of another domain by name"),
        (result.apart, "have a name like another one and were kept apart: is one misspelt?"),
    ):
        if one.count:
            more = ", ..." if one.count > len(one.examples) else ""
            say(f"{one.count} identities {what} ({', '.join(one.examples)}{more})")
