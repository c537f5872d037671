"""``mfr keys``: who may use a service."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from mfr.cli.console import print_json, print_table, say
from mfr.cli.options import AsJson
from mfr.cli.serve import StateOption, state_folder

app = typer.Typer(no_args_is_help=True, help="API keys of a service: create, list, revoke.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call it: who is to use it.")],
    scopes: Annotated[
        str,
        typer.Option(
            metavar="SCOPE,...",
            help="What it is good for: read, recognise, enrol, erase, admin (all of them).",
        ),
    ],
    collections: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="In these collections only.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Requests a second.")] = 50.0,
    quota: Annotated[int, typer.Option(help="Photos a day; 0 for any number.")] = 0,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: it is shown this once, and kept as a hash.

    Example: mfr keys create turnstile --scopes recognise --collections staff
    """
    from mfr.service.keys import Keys
    from mfr.service.state_file import StateFile

    kept = StateFile(state_folder(state))
    try:
        made, key = Keys(kept).create(
            name,
            [each.strip() for each in scopes.split(",")],
            None if collections is None else [each.strip() for each in collections.split(",")],
            rate=rate,
            quota=quota,
        )
    finally:
        kept.close()
    if as_json:
        print_json({"id": made.id, "key": key})
        return
    say(f"Key {made.id} for '{made.name}', good for {', '.join(made.scopes)}. It is:")
    typer.echo(key)


@app.command("list")
def list_keys(state: StateOption = None, as_json: AsJson = False) -> None:
    """List the keys, without their secrets.

    Example: mfr keys list
    """
    from mfr.service.keys import Keys
    from mfr.service.state_file import StateFile

    kept = StateFile(state_folder(state))
    try:
        found = Keys(kept).all()
    finally:
        kept.close()
    if as_json:
        print_json(found)
        return
    table = Table("Id", "Name", "Scopes", "Collections", "Rate", "Quota", "Created", "Revoked")
    for key in found:
        table.add_row(
            key.id,
            Text(key.name),
            ", ".join(key.scopes),
            "all" if key.collections is None else Text(", ".join(key.collections)),
            f"{key.rate:g}",
            str(key.quota or "none"),
            key.created,
            key.revoked,
        )
    print_table(table)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="Of 'mfr keys list'.")],
    state: StateOption = None,
) -> None:
    """Let a key be good for nothing from now on.

    Example: mfr keys revoke 0123456789ab
    """
    from mfr.service.keys import Keys
    from mfr.service.state_file import StateFile

    kept = StateFile(state_folder(state))
    try:
        Keys(kept).revoke(key)
    finally:
        kept.close()
    say(f"Key {key} is revoked.")
