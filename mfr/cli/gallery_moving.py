"""The commands of ``mfr gallery`` that move people: to another model, and between galleries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mfr.cli.console import busy, counted, print_json, progress, say, tell
from mfr.cli.options import AsJson, Backbone, Device, GalleryPath

if TYPE_CHECKING:
    from mfr.gallery.merging import Joined


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
        if done.not_moved and photos is None:
            say("Photos that lie elsewhere now are found with --photos FOLDER.")
        say(
            f"{out} has {done.from_photos + done.from_crops + done.already} of "
            f"{counted(done.templates, 'template')} of {path}: {done.from_photos} made from "
            f"photos, {done.from_crops} from kept crops, {done.already} moved before."
        )
        if done.lost:
            say(f"{counted(len(done.lost), 'person')} not in it at all: {', '.join(done.lost)}.")
    if done.not_moved:
        raise typer.Exit(1)


JoinNames = Annotated[
    bool,
    typer.Option(
        "--join-names",
        help="Take equal names for one person also where no photo of them is in common.",
    ),
]
Anyway = Annotated[
    bool,
    typer.Option("--anyway", help="Join also where a photo or a person is there under two names."),
]


def merge(
    paths: Annotated[
        list[str], typer.Argument(metavar="GALLERY...", help="Directories of the galleries.")
    ],
    out: Annotated[str, typer.Option(metavar="NEWGALLERY", help="Directory of the new gallery.")],
    join_names: JoinNames = False,
    anyway: Anyway = False,
    as_json: AsJson = False,
) -> None:
    """Make one gallery of several galleries of one model, which stay as they are.

    A name that is in two galleries is one person if they have a photo in common; else the merge is
    refused, unless --join-names says so. It is also refused where a photo or, in a calibrated
    gallery, a person is there under two names. The calibration is that of the first gallery.

    Example: mfr gallery merge GALLERY GALLERY2 --out NEWGALLERY
    """
    from mfr.gallery.merging import merge as join

    done = join(paths, out, join_names=join_names, anyway=anyway, on_doubt=_tell_doubt)
    _show_joined(out, done, as_json=as_json)


def copy(
    path: GalleryPath,
    out: Annotated[
        str,
        typer.Argument(metavar="NEWGALLERY", help="Directory or address of the copy: not there."),
    ],
    plain: Annotated[
        bool, typer.Option("--plain", help="Do not encrypt the copy, although a key is named.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a gallery with everything in it to a new one, also into a database or out of one.

    The copy has everyone or, where anything goes wrong, nobody: then run the command again. Dates,
    kept crops, the calibration and the model's place come along; templates are numbered anew. Where
    a key is named the copy is encrypted with it, and the gallery may be.

    Example: mfr gallery copy GALLERY "postgresql://ada@db.example/faces?collection=staff"
    """
    from mfr.gallery.copying import copy as make_copy

    with progress("copying") as report:
        done = make_copy(path, out, plain=plain, on_progress=report)
    if as_json:
        print_json({"gallery": path, "copy": out, **vars(done)})
        return
    if done.left_out:
        say(f"{counted(done.left_out, 'damaged template')} of {path} left out.")
    say(f"{out} has everyone of {path}: {counted(done.templates, 'template')}.")


def index(path: GalleryPath) -> None:
    """Give a large gallery in a database an index of its own there.

    Searches then need no copy of all templates in memory. Their scores are exact; which templates
    are scored is found by pgvector, which misses the nearest one now and then. Enrolling takes
    longer from then on.

    Example: mfr gallery index "postgresql://ada@db.example/faces?collection=staff"
    """
    from contextlib import closing

    from mfr.errors import GalleryError
    from mfr.gallery.own_index import SearchingStore
    from mfr.gallery.store import open_store

    with closing(open_store(path)) as store, busy("making the index"):
        if not isinstance(store, SearchingStore):
            raise GalleryError(f"{path} is no database: its searches go by an index in memory.")
        store.make_index()
    say(f"{path} has an index.")


def roles() -> None:
    """Print the SQL by which an administrator gives a database of galleries its roles.

    They are mfr_reader, mfr_writer and mfr_admin. Run it after the first gallery was made.

    Example: mfr gallery roles
    """
    from mfr.gallery.postgres.schema import script

    typer.echo(script("roles"), nl=False)


def export(
    path: GalleryPath,
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A .csv or .parquet file; it is replaced.")
    ],
    as_json: AsJson = False,
) -> None:
    """Write a gallery as a table: names, embeddings, model hash, photo hashes, provenance.

    The table holds biometric data: only its maker can read it. Kept crops are left out.

    Example: mfr gallery export GALLERY people.parquet
    """
    from mfr.gallery.exchange import export as write

    count = write(path, table)
    if as_json:
        print_json({"gallery": path, "table": table, "templates": count})
    else:
        say(f"{table} has {counted(count, 'template')} of {path}.")


def import_table(
    path: GalleryPath,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A .csv or .parquet file.")],
    join_names: JoinNames = False,
    anyway: Anyway = False,
    as_json: AsJson = False,
) -> None:
    """Enroll everyone of a table that 'mfr gallery export' or another program wrote, or nobody.

    The gallery is made if there is none; name its model when it is first used with a photo. What
    is refused is what 'mfr gallery merge' refuses, and any row that is wrong.

    Example: mfr gallery import GALLERY people.parquet
    """
    from mfr.gallery.exchange import import_table as read

    done = read(path, table, join_names=join_names, anyway=anyway, on_doubt=_tell_doubt)
    _show_joined(path, done, as_json=as_json)


def _tell_doubt(sentence: str) -> None:
    tell(f"Doubt: {sentence}")


def _show_joined(path: str, done: Joined, *, as_json: bool) -> None:
    if as_json:
        print_json({"gallery": path, **vars(done)})
        return
    for remark in done.remarks:
        tell(f"Note: {remark}")
    say(
        f"{path} has {done.people} enrolled now: "
        f"{counted(done.added, 'new template')}, {done.already} that were there already."
    )
