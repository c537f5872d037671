"""``mfr models``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from mfr.cli.console import print_json, print_table, say
from mfr.cli.options import AsJson

app = typer.Typer(invoke_without_command=True)
"""The command itself lists; its one subcommand fetches."""


@app.command("fetch")
def fetch(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of a model that 'mfr models' lists, or yunet.")
    ],
) -> None:
    """Download what a model or a detector needs, once; a computer without network needs it then.

    Files are checked by their SHA-256 where it is known, and lie in the user's cache.

    Example: mfr models fetch yunet
    """
    from mfr.faces.yunet.weights import YUNET
    from mfr.models import PRETRAINED

    path = YUNET.fetch() if name == "yunet" else PRETRAINED.find(name).fetch()
    say(f"{name} is here: {path}.")


@app.callback()
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the models that can be used by a name: licence, size, calibration, place, origin.

    Wherever a command takes --model, a model file of yours does as well.

    Example: mfr models
    """
    if context.invoked_subcommand is not None:
        return
    from mfr.backbones import backbone_spec
    from mfr.models import DEFAULT, PRETRAINED, shipped_calibration

    rows: list[dict[str, Any]] = []
    for name in PRETRAINED.names():
        model = PRETRAINED.find(name)
        spec, calibrations, path = (
            backbone_spec(model.backbone),
            shipped_calibration(model),
            model.find(),
        )
        rows.append(
            {
                "name": name,
                "default": name == DEFAULT,
                "licence": model.licence,
                "trained_on": model.trained_on,
                "megabytes": model.megabytes,
                "embedding_size": spec.embedding_size * (2 if spec.flip_fusion is True else 1),
                "calibrated_for": [] if calibrations is None else calibrations.names,
                "file": None if path is None else str(path),
                "how_to_get": None if path else model.how_to_get,
            }
        )
    if as_json:
        print_json(rows)
        return
    name_column = Column("Name", no_wrap=True)  # it has to be typed
    table = Table(
        name_column, "Licence of the weights", "Size", "Embedding", "Calibrated for", "Here"
    )
    for row in rows:
        table.add_row(
            row["name"] + (" (default)" if row["default"] else ""),
            row["licence"],
            f"{row['megabytes']:.0f} MB",
            str(row["embedding_size"]),
            ", ".join(row["calibrated_for"]) or "nothing yet",
            "no" if row["file"] is None else "yes",
        )
    print_table(table)
    for row in rows:
        say(f"{row['name']}: {row['file'] or row['how_to_get']}")
        say(f"  trained on {row['trained_on']}")
    say("A model that is calibrated for nothing yet needs --threshold, or 'mfr calibrate' first.")
