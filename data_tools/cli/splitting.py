"""The command ``mfr data split``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from data_tools.cli.options import Dataset
from mfr.cli.console import print_json, print_table, say
from mfr.cli.options import AsJson, names_in


def split(
    dataset: Dataset,
    test: Annotated[float, typer.Option(help="Share of the people to test on.")] = 0.3,
    val: Annotated[float, typer.Option(help="Share of the people to validate on.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    apart: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            help="Domains that share no training people: each trains one of these only.",
        ),
    ] = None,
    forget_used: Annotated[
        bool,
        typer.Option(
            "--forget-used",
            help="Move also people whom models of this dataset have used; those models refuse to "
            "be judged on them.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Split all domains by person, so that no person is on two sides; replaces an earlier split.

    Whom a model of this dataset was trained on stays on the training side, and whom it was
    validated or calibrated on stays on the validation side.
    """
    from data_tools.splitting import split_dataset

    result = split_dataset(
        dataset,
        test=test,
        val=val,
        seed=seed,
        apart=() if apart is None else names_in(apart, "--apart"),
        forget_used=forget_used,
    )
    if as_json:
        print_json(result)
        return
    table = Table(Column("domain", no_wrap=True), *(f"{side} people" for side in result.people))
    for name, people in result.domains.items():
        table.add_row(escape(name), *map(str, people.values()))
    table.add_section()
    table.add_row("all people", *map(str, result.people.values()))
    table.add_row("all images", *map(str, result.images.values()))
    print_table(table)
    if result.set_aside:
        say(
            f"{result.set_aside} images of training people are on no side, because each trains one "
            "domain only."
        )
    if any(result.kept.values()):
        say(
            f"{result.kept['train']} people stay on the training side and {result.kept['val']} on "
            "the validation side because models of this dataset have used them."
        )
