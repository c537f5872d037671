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
    typer.Option(metavar="DATASET", help="Directory of the dataset, created if it is missing."),
]
People = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="CSV file with columns domain, identity and person, which joins the identities of "
        "one person. By default, identities of the same name are the same person; case, accents "
        "and punctuation do not count.",
    ),
]
Licence = Annotated[
    str | None,
    typer.Option(metavar="NOTE", help="Licence or source of the photos, kept in the manifest."),
]


PackDomain = Annotated[
    str, typer.Option(help="Name of the domain, which can hold one pack and nothing else.")
]
