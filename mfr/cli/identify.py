"""``mfr identify``: one person, everybody in a photo, or each photo of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mfr.cli.answers import tell_faces, tell_one, tell_photos
from mfr.cli.console import progress
from mfr.cli.options import (
    AsJson,
    Backbone,
    Condition,
    DetectorOption,
    Device,
    Faces,
    FacesOption,
    Fpir,
    GalleryModel,
    GalleryPath,
    Threshold,
)
from mfr.errors import ConfigError


def identify(
    path: GalleryPath,
    probes: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO... | FOLDER",
            help="A photo, or several of ONE person; or a folder, each photo of which is a search "
            "of its own.",
            show_default=False,
        ),
    ],
    k: Annotated[int, typer.Option("-k", help="How many candidates to give.")] = 5,
    model: GalleryModel = None,
    backbone: Backbone = None,
    fpir: Fpir = 0.01,
    threshold: Threshold = None,
    condition: Condition = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Search only the people in this group (mfr gallery describe)."
        ),
    ] = None,
    face: FacesOption = Faces.main,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="With --face all, write the photo with boxes and names into this .jpg or .png.",
        ),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FILE", help="Of a FOLDER, write a row for each photo into this file."
        ),
    ] = None,
    detector: DetectorOption = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Find who of a gallery photos show, if anybody.

    One PHOTO is searched for by one face. Several PHOTOs are taken to be of ONE person and judged
    together. Of a FOLDER, with the folders below it, each photo is a search of its own; a line says
    why a photo was refused, and the exit code is 0 if none was and 1 if some were.

    With --face all, every face of one photo is named, from left to right. Two faces of a photo
    cannot be one person: where two are answered with the same one, the better keeps the name (a
    match before an uncertain answer, then the higher score), and the other is answered as though
    that person were not enrolled, with its next candidate or with nobody.

    The threshold is that of --fpir, for as many templates as are enrolled; between it and that of
    ten times the rate, the answer is uncertain.

    Examples: mfr identify GALLERY probe.jpg

    mfr identify GALLERY group.jpg --face all --draw named.jpg

    mfr identify GALLERY FOLDER --csv answers.csv
    """
    folders = [probe for probe in probes if Path(probe).is_dir()]
    _check(probes, folders, face, draw, csv_file)
    from mfr.gallery import Gallery
    from mfr.gallery.own_model import load_recogniser
    from mfr.photo_folder import photos_below

    photos = photos_below(probes[0]) if folders else []
    recogniser = load_recogniser(path, model, backbone=backbone, detector=detector, device=device)
    terms: dict[str, Any] = {"fpir": fpir, "threshold": threshold, "condition": condition}
    terms["group"] = group
    with Gallery.open(path, recogniser) as gallery:
        if face is Faces.all:
            from mfr.gallery.group_photo import name_faces

            named = name_faces(recogniser, gallery, probes[0], k, **terms)
            tell_faces(probes[0], named, draw, as_json=as_json)
        elif folders:
            from mfr.gallery.many_photos import identify_each

            with progress("identifying") as report:
                searched = identify_each(
                    recogniser,
                    gallery,
                    photos,
                    k,
                    face=face.value,
                    on_progress=report,
                    **terms,
                )
            tell_photos(searched, csv_file, as_json=as_json)
        else:
            found = gallery.identify(probes, k, face=face.value, **terms)
            tell_one(probes, found, as_json=as_json)


def _check(
    probes: Sequence[str],
    folders: Sequence[str],
    face: Faces,
    draw: Path | None,
    csv_file: Path | None,
) -> None:
    """Refuse what does not go together, before anything is loaded."""
    if folders and len(probes) > 1:
        raise ConfigError(
            f"{folders[0]} is a folder: name it alone, as each of its photos is a search of its "
            "own, or name photos of one person."
        )
    if face is Faces.all and (folders or len(probes) > 1):
        raise ConfigError("--face all names the faces of one photo: name one, and no folder.")
    if csv_file is not None and not folders:
        raise ConfigError("--csv writes the answers for a folder: name one, or use --json.")
    if draw is not None:
        from mfr.drawing import check_picture_name

        if face is not Faces.all:
            raise ConfigError("--draw draws every face of a photo: use it with --face all.")
        check_picture_name(draw)
        if draw.resolve() == Path(probes[0]).resolve():
            raise ConfigError(f"--draw {draw} would replace the photo itself: name another file.")
    for option, place in (("--draw", draw), ("--csv", csv_file)):
        if place is not None and not place.resolve().parent.is_dir():
            raise ConfigError(f"{option} {place}: there is no such folder; make it first.")
