"""The commands of ``mfr data import`` for folders, tables and published datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_tools.cli.options import Licence, Out, People, Photos
from mfr.cli.console import print_json, say
from mfr.cli.options import AsJson

if TYPE_CHECKING:
    from data_tools.importing.adding import ImportResult
    from data_tools.importing.joining import Alike

app = typer.Typer(help="Add photos to a dataset.", no_args_is_help=True)


@app.command("folder")
def folder(
    photos: Photos,
    domain: Annotated[str, typer.Option(help="Name of the domain that the photos form.")],
    out: Out,
    people: People = None,
    licence: Licence = None,
    as_json: AsJson = False,
) -> None:
    """Add PHOTOS/IDENTITY/IMAGE as one domain; a second import adds only new images.

    The images are not decoded, moved or copied, so the photos must stay where they are.
    """
    from data_tools.importing.folder import import_folder

    print_import(import_folder(photos, out, domain=domain, people=people, licence=licence), as_json)


@app.command("table")
def table(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv or .parquet file.")],
    out: Out,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder that paths are relative to. Default: TABLE's folder."
        ),
    ] = None,
    licence: Licence = None,
    as_json: AsJson = False,
) -> None:
    """Add the images that a table lists in the columns path, identity and domain.

    The columns person, split and landmarks are optional. The images are not decoded, moved or
    copied, so the photos must stay where they are.
    """
    from data_tools.importing.table import import_table

    print_import(import_table(table, out, photos=photos, licence=licence), as_json)


@app.command("lfw")
def lfw(
    photos: Photos,
    out: Out,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="PAIRS.TXT", help="LFW's list of pairs, kept as its protocol."),
    ] = None,
    domain: Annotated[str, typer.Option(help="Name of the domain and the protocol.")] = "lfw",
    people: People = None,
    licence: Licence = None,
    as_json: AsJson = False,
) -> None:
    """Add Labeled Faces in the Wild, after checking that its files are named as the pairs need."""
    from data_tools.importing.lfw import import_lfw

    result = import_lfw(photos, out, domain=domain, pairs=pairs, people=people, licence=licence)
    print_import(result, as_json)


@app.command("mfr2")
def mfr2(
    folder: Annotated[
        Path, typer.Argument(metavar="MFR2", help="Folder with identity folders and pairs.txt.")
    ],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Add MFR2, faces with real masks: domains mfr2_masked and mfr2_plain, and its pairs."""
    from data_tools.importing.mfr2 import import_mfr2

    print_import(import_mfr2(folder, out), as_json)


@app.command("rfw")
def rfw(
    folder: Annotated[
        Path, typer.Argument(metavar="TEST", help="RFW's folder 'test', which has data and txts.")
    ],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Add Racial Faces in the Wild: four domains with their pairs and landmarks."""
    from data_tools.importing.rfw import import_rfw

    print_import(import_rfw(folder, out), as_json)


@app.command("nir-vis")
def nir_vis(
    folder: Annotated[
        Path, typer.Argument(metavar="NIR-VIS-2.0", help="Folder that holds 'protocols'.")
    ],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Add CASIA NIR-VIS 2.0: domains nir and vis of the same people, and its search protocols."""
    from data_tools.importing.nir_vis import import_nir_vis

    print_import(import_nir_vis(folder, out), as_json)


@app.command("ivs")
def ivs(
    photos: Photos,
    gallery: Annotated[
        Path, typer.Option(metavar="LIST", help="List of photos from documents, one path per line.")
    ],
    probes: Annotated[
        Path,
        typer.Option(metavar="LIST", help="List of photos taken on the spot, one path per line."),
    ],
    out: Out,
    domain: Annotated[
        str, typer.Option(help="Beginning of the domains' names, and name of the protocol.")
    ] = "ivs",
    licence: Licence = None,
    as_json: AsJson = False,
) -> None:
    """Add photos of identity documents and on-the-spot photos of the same people."""
    from data_tools.importing.ivs import import_ivs

    result = import_ivs(photos, out, gallery=gallery, probes=probes, domain=domain, licence=licence)
    print_import(result, as_json)


@app.command("meglass")
def meglass(
    folder: Annotated[
        Path, typer.Argument(metavar="MEGLASS", help="Folder that holds meta.txt and test.")
    ],
    out: Out,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder of the images. Default: MEGLASS/MeGlass_120x120."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add MeGlass: domains with and without glasses, and its four protocols."""
    from data_tools.importing.meglass import import_meglass

    print_import(import_meglass(folder, out, images=images), as_json)


def print_import(result: ImportResult, as_json: bool) -> None:
    """Print what an import added."""
    if as_json:
        print_json(result)
        return
    for part in result.domains:
        say(
            f"{part.domain}: {part.images} images of {part.identities} identities "
            f"({part.people} people); {part.added} added, {part.images - part.added} already there."
        )
    for name in result.protocols:
        say(f"Protocol {name}: run it with 'mfr benchmark MODEL --data DATASET --protocol {name}'.")
    for left in result.left_out:
        more = ", ..." if left.count > len(left.examples) else ""
        say(f"Left out: {left.count} {left.reason}: {', '.join(left.examples)}{more}.")
    if result.joined.count:
        _say_alike(
            f"{result.joined.count} identities were taken for a person of another domain by name",
            result.joined,
        )
    if result.apart.count:
        _say_alike(
            f"{result.apart.count} identities have a name like another one of their domain and "
            "were kept apart; a people file can join them",
            result.apart,
        )
    if result.guessed:
        say(
            f"{result.guessed} identities are not in the people file: their persons were derived "
            "from their names."
        )


def _say_alike(what: str, alike: Alike) -> None:
    more = ", ..." if alike.count > len(alike.examples) else ""
    say(f"{what}: {', '.join(alike.examples)}{more}.")
