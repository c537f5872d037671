"""``mfr enroll``: one person by some photos, or many people at once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from mfr.cli.console import counted, print_json, progress, say, tell
from mfr.cli.options import (
    AsJson,
    Backbone,
    DetectorOption,
    Device,
    Face,
    FaceOption,
    GalleryModel,
    GalleryPath,
)
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from mfr.gallery.bulk import BulkEnrolment


def enroll(
    path: GalleryPath,
    identity: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Name of the person.", show_default=False),
    ] = None,
    photos: Annotated[
        list[str] | None,
        typer.Argument(metavar="PHOTO", help="Photos of the person.", show_default=False),
    ] = None,
    people: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PEOPLE",
            help="Enroll many people: a folder with a folder for each person, PEOPLE/NAME/PHOTO, "
            "or a .csv file with the columns path and identity.",
        ),
    ] = None,
    model: GalleryModel = None,
    backbone: Backbone = None,
    face: FaceOption = Face.only,
    any_quality: Annotated[
        bool,
        typer.Option(
            "--any-quality", help="Take small, dark, bright, blurred and turned faces too."
        ),
    ] = False,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway",
            help="Enroll also what looks like a mistake: a photo or a person already enrolled "
            "under another name, a photo unlike the others of the person.",
        ),
    ] = False,
    keep_crops: Annotated[
        bool | None,
        typer.Option(
            "--keep-crops/--no-keep-crops",
            help="Keep the aligned faces in the gallery too, so that it can move to another model "
            "without the photos. The gallery remembers it; at first it keeps none.",
            show_default=False,
        ),
    ] = None,
    detector: DetectorOption = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Enroll a person in a gallery by photos, all of them or none; or, with --from, many people.

    The gallery is made if there is none, with MODEL or the default recogniser; it remembers where
    its model lies. A photo the person has already is left as it is. A photo with several faces,
    with a poor one, or that looks like a mistake is refused.

    With --from each photo is enrolled or refused by itself. The command can be stopped and started
    again at any time: photos that are enrolled already are not examined again. The exit code is 0
    if every photo is enrolled and 1 if some were refused.

    Examples: mfr enroll GALLERY ada a1.jpg a2.jpg

    mfr enroll GALLERY --from PEOPLE
    """
    if people is not None:
        if identity is not None:
            raise ConfigError("--from says whose its photos are: leave out name and photos.")
        from mfr.gallery.bulk import enroll_people

        with progress("enrolling") as report:
            done = enroll_people(
                path,
                people,
                model=model,
                backbone=backbone,
                face=face.value,
                any_quality=any_quality,
                anyway=anyway,
                keep_crops=keep_crops,
                detector=detector,
                device=device,
                on_progress=report,
            )
        _show_bulk(path, done, as_json=as_json)
        return
    if identity is None or not photos:
        raise ConfigError(
            "Say whom to enroll: a name and photos of the person, or --from PEOPLE for many people."
        )
    from mfr.gallery.enrolling import enroll_photos

    one = enroll_photos(
        path,
        identity,
        photos,
        model=model,
        backbone=backbone,
        face=face.value,
        any_quality=any_quality,
        anyway=anyway,
        keep_crops=keep_crops,
        detector=detector,
        device=device,
    )
    if as_json:
        print_json(one)
        return
    say(f"Enrolled {one.identity}: {counted(len(one.added), 'new template')}.")
    for remark in one.remarks:
        tell(f"Note: {remark}")
    for photo in one.already:
        say(f"  {photo} was enrolled already.")
    if one.crops:
        say(_CROPS_ARE_KEPT)


_CROPS_ARE_KEPT = "The gallery keeps the aligned faces too; --no-keep-crops ends that."


def _show_bulk(path: str, done: BulkEnrolment, *, as_json: bool) -> None:
    if as_json:
        print_json({"gallery": path, **dataclasses.asdict(done)})
    else:
        for remark in done.remarks:
            tell(f"Note: {remark}")
        for refusal in done.refused:
            say(f"Refused: {refusal.reason}")
        say(
            f"{path} has {done.people} of these people: {counted(done.added, 'new template')}, "
            f"{counted(done.already, 'photo')} enrolled already, {len(done.refused)} refused."
        )
        if done.refused:
            say("Poor faces are taken with --any-quality, what looks like a mistake with --anyway.")
        if done.keeps_crops:
            say(_CROPS_ARE_KEPT)
    if done.refused:
        raise typer.Exit(1)
