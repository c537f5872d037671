"""The commands of ``mfr data import`` for packs, which are files that hold many images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_tools.cli.importing import print_import
from data_tools.cli.options import Licence, Out, PackDomain, People
from mfr.cli.console import progress, say
from mfr.cli.options import AsJson

if TYPE_CHECKING:
    from data_tools.importing.packs.pack import Pack
    from data_tools.importing.packs.unpacking import PackResult


def add_commands(group: typer.Typer) -> None:
    """Add a command for every kind of pack to ``group``."""
    group.command("bin")(verification_bin)
    group.command("rec")(rec)
    group.command("webdataset")(webdataset)
    group.command("huggingface")(huggingface)


def verification_bin(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="The file, such as lfw.bin.")],
    domain: PackDomain,
    out: Out,
    licence: Licence = None,
    as_json: AsJson = False,
) -> None:
    """Add a verification pack such as ArcFace uses, with its pairs as a protocol of ten folds.

    The pickle is never run, and anything but plain lists of images and booleans is refused.
    """
    from data_tools.importing.packs.verification_bin import VerificationBin

    _import_pack(VerificationBin(pack), out, domain, None, licence, as_json)


def rec(
    pack: Annotated[
        Path, typer.Argument(metavar="PACK", help="A .rec file, or the folder with train.rec.")
    ],
    domain: PackDomain,
    out: Out,
    people: People = None,
    licence: Licence = None,
    as_json: AsJson = False,
) -> None:
    """Add a training pack of InsightFace (MXNet RecordIO); MXNet is not needed.

    The command can be stopped and started again at any time. The labels become the identities.
    """
    from data_tools.importing.packs.insightface_rec import InsightFaceRec

    _import_pack(InsightFaceRec(pack), out, domain, people, licence, as_json)


def webdataset(
    shards: Annotated[
        Path, typer.Argument(metavar="SHARDS", help="A .tar file, or a folder of .tar files.")
    ],
    domain: PackDomain,
    out: Out,
    label: Annotated[
        str, typer.Option(help="Field of the .json files that names the identity.")
    ] = "identity",
    people: People = None,
    licence: Licence = None,
    as_json: AsJson = False,
) -> None:
    """Add WebDataset shards: KEY.jpg (or .png, ...) with the identity in KEY.cls or KEY.json.

    The command can be stopped and started again at any time. No name in a tar file is used as a
    file name on disk.
    """
    from data_tools.importing.packs.webdataset import WebDatasetShards

    pack = WebDatasetShards(shards, label=label)
    _import_pack(pack, out, domain, people, licence, as_json)


def huggingface(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder that save_to_disk wrote, or that has Parquet files."
        ),
    ],
    domain: PackDomain,
    out: Out,
    label: Annotated[
        str | None,
        typer.Option(
            help="Column that names the identity. Default: identity, label, or the only ClassLabel."
        ),
    ] = None,
    people: People = None,
    licence: Licence = None,
    as_json: AsJson = False,
) -> None:
    """Add all splits of a Hugging Face dataset on disk; the datasets library is not needed.

    The command can be stopped and started again at any time.
    """
    from data_tools.importing.packs.huggingface import HuggingFaceDataset

    pack = HuggingFaceDataset(folder, label=label)
    _import_pack(pack, out, domain, people, licence, as_json)


def _import_pack(
    pack: Pack,
    out: Path,
    domain: str,
    people: Path | None,
    licence: str | None,
    as_json: bool,
) -> None:
    from data_tools.importing.packs.unpacking import import_pack

    with progress("importing") as report:
        result = import_pack(
            pack, out, domain=domain, people=people, licence=licence, on_progress=report
        )
    print_import(result, as_json)
    if not as_json:
        _print_pack(result)


def _print_pack(result: PackResult) -> None:
    say(f"Aligned crops: {result.crops}.")
    if result.photos:
        say(f"Photos to be aligned: {result.photos}. Run 'mfr data align' next.")
    if result.damaged:
        say(f"Damaged images: {result.damaged}. The manifest records which and why.")
