"""The commands of ``mfr gallery`` that move people: to another model, and between galleries."""

from __future__ import annotations

from typing import Annotated

import typer

from mfr.cli.console import counted, print_json, progress, say
from mfr.cli.options import AsJson, Backbone, Device, GalleryPath


def migrate(
    path: GalleryPath,
    model: Annotated[str, typer.Option(metavar="MODEL", help="The new model.")],
    out: Annotated[
        str,
        typer.Option(
            metavar="NEWGALLERY",
            help="Directory of the new gallery: not there yet, or one that was begun before.",
        ),
    ],
    backbone: Backbone = None,
    photos: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Look here for photos that are not where they were enrolled."
        ),
    ] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Enroll everyone of a gallery again, with another model, in a new gallery.

    Templates are made from the photos, where those still have the same bytes, or else from crops
    that were kept (--keep-crops of 'mfr enroll'). The old gallery is not changed. The command can
    be stopped and started again at any time. The exit code is 0 if everything was moved and 1 if
    something could not be, which is listed.

    Example: mfr gallery migrate GALLERY --model NEW --out NEWGALLERY
    """
    from mfr.gallery.migration import migrate as move

    with progress("moving") as report:
        done = move(
            path,
            model,
            out,
            backbone=backbone,
            photos=photos,
            device=device,
            on_progress=report,
        )
    if as_json:
        print_json({"gallery": path, "out": out, **vars(done)})
    else:
        for each in done.not_moved:
            say(f"Not moved, of {each.identity}: {each.reason}")
        say(
            f"{out} has {done.from_photos + done.from_crops + done.already} of "
            f"{counted(done.templates, 'template')} of {path}: {done.from_photos} made from "
            f"photos, {done.from_crops} from kept crops, {done.already} moved before."
        )
        if done.lost:
            say(f"{counted(len(done.lost), 'person')} not in it at all: {', '.join(done.lost)}.")
    if done.not_moved:
        raise typer.Exit(1)
