"""``mfr gallery``: looking after who is enrolled."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from mfr.cli import gallery_moving, gallery_people, gallery_safety
from mfr.cli.console import counted, print_json, print_table, say
from mfr.cli.options import AsJson, Backbone, GalleryPath, Identity

app = typer.Typer(
    no_args_is_help=True,
    help="Look after a gallery: list, show, remove, back up, calibrate, move, copy, join, rebuild; "
    "note what is known of people, encrypt, audit.",
)


@app.command("list")
def list_people(path: GalleryPath, as_json: AsJson = False) -> None:
    """List who is enrolled, with counts and dates (UTC).

    Example: mfr gallery list GALLERY
    """
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        people = gallery.list()
    if as_json:
        print_json(people)
        return
    table = Table("Identity", "Templates", "First enrolled", "Last enrolled")
    for person in people:
        table.add_row(
            Text(person.identity),
            str(person.templates),
            person.first_enrolled,
            person.last_enrolled,
        )
    print_table(table)


@app.command()
def show(path: GalleryPath, identity: Identity, as_json: AsJson = False) -> None:
    """Show the templates of a person: their ids, photos, dates (UTC) and quality.

    Example: mfr gallery show GALLERY ada
    """
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        templates = gallery.show(identity)
    if as_json:
        print_json(templates)
        return
    table = Table("Id", "Photo", "SHA-256", "Detector", "Enrolled", "Quality", "State", "Crop")
    for template in templates:
        quality = ", ".join(f"{name} {value:.4g}" for name, value in template.quality.items())
        table.add_row(
            str(template.id),
            Text(template.source),
            template.photo_sha256[:12],
            template.detector,
            template.enrolled,
            quality,
            "damaged" if template.damaged else "sound",
            template.crop,
        )
    print_table(table)


@app.command()
def remove(
    path: GalleryPath,
    identity: Identity,
    template: Annotated[
        int | None, typer.Option(metavar="ID", help="Only this template, as 'show' lists it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove a person, or one template; with the last template the person is removed.

    Nothing of them is left in the gallery's files.

    Example: mfr gallery remove GALLERY ada --template 3
    """
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        removed = gallery.remove(identity, template)
    if as_json:
        print_json({"identity": identity, "removed": removed})
    else:
        say(f"Removed {counted(removed, 'template')} of {identity}.")


@app.command()
def backup(
    path: GalleryPath,
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="Directory of the copy; not there yet.")
    ],
    as_json: AsJson = False,
) -> None:
    """Copy a gallery, whole, also while other programs use and change it.

    Copying its files does not do: the latest changes are in a log beside them. The copy is a
    gallery itself; to restore it, put it in the place of the other.

    Example: mfr gallery backup GALLERY GALLERY-2026-11-26
    """
    from mfr.gallery import Gallery, back_up

    back_up(path, out)
    with Gallery.open(out) as copy:
        people = copy.list()
    templates = sum(person.templates for person in people)
    if as_json:
        print_json({"gallery": path, "backup": out, "people": len(people), "templates": templates})
    else:
        say(f"{out} has all of {path}: {counted(templates, 'template')}.")


@app.command()
def calibrate(
    path: GalleryPath,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="Model file with the weights of the gallery's.")
    ],
    backbone: Backbone = None,
    as_json: AsJson = False,
) -> None:
    """Change the calibration by which a gallery decides, and show what that changes.

    A gallery keeps the calibration of the model it was made with, also when another model file with
    the same weights is used. This gives it that of MODEL, as 'mfr calibrate' wrote it.

    Example: mfr gallery calibrate GALLERY --model calibrated.safetensors
    """
    from mfr.gallery.own_calibration import USUAL_FMRS, threshold_at
    from mfr.gallery.own_model import change_calibration

    before, after = change_calibration(path, model, backbone=backbone)
    rows = [(fmr, threshold_at(before, fmr), threshold_at(after, fmr)) for fmr in USUAL_FMRS]
    if as_json:
        print_json([{"fmr": fmr, "before": old, "after": new} for fmr, old, new in rows])
        return
    table = Table("False-match rate", "Threshold before", "Threshold after")
    for fmr, *thresholds in rows:
        table.add_row(
            f"{fmr:g}", *("cannot tell" if each is None else f"{each:.4f}" for each in thresholds)
        )
    print_table(table)
    say(f"{path} now decides by the calibration of {model}:")
    for each in after.measured:
        say(f"  {each.told}, {each.comparisons} comparisons.")


@app.command()
def search(
    path: GalleryPath,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="auto, exact or two-stage.")],
    as_json: AsJson = False,
) -> None:
    """Say how a gallery is searched from now on.

    'exact' compares every template; 'two-stage' compares those whose short codes are near the
    probe's, which takes a fraction of the time among many; 'auto', as at first, does the first
    below 50 000 templates and the second from there on.

    Example: mfr gallery search GALLERY exact
    """
    from mfr.gallery.methods import search_method, settle_method
    from mfr.gallery.store import open_store

    chosen = search_method(method)
    with closing(open_store(path)) as store:
        settle_method(store, chosen)
    if as_json:
        print_json({"gallery": path, "search": chosen})
    else:
        say(f"{path} is searched by '{chosen}' from now on.")


@app.command()
def rebuild(path: GalleryPath, as_json: AsJson = False) -> None:
    """Check the gallery file, templates and all, and build its search index anew.

    Searches make the index by themselves when it is missing or damaged. Damaged templates are
    named; the index is made without them.

    Example: mfr gallery rebuild GALLERY
    """
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        templates = gallery.rebuild()
    if as_json:
        print_json({"templates": templates})
    else:
        say(f"The gallery is sound; indexed {counted(templates, 'template')}.")


app.command()(gallery_moving.migrate)
app.command()(gallery_moving.merge)
app.command()(gallery_moving.copy)
app.command()(gallery_moving.index)
app.command()(gallery_moving.roles)
app.command()(gallery_moving.export)
app.command("import")(gallery_moving.import_table)
app.command()(gallery_people.people)
app.command()(gallery_people.describe)
app.command("new-key")(gallery_safety.new_key)
app.command()(gallery_safety.encrypt)
app.command()(gallery_safety.expire)
app.command("change-key")(gallery_safety.change_key)
app.command()(gallery_safety.audit)
