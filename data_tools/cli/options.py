"""Options and arguments that several commands of ``mfr data`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of the dataset.")]
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
