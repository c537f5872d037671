"""The commands of ``mfr gallery`` about what is noted of people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from mfr.cli.console import print_json, print_table, say
from mfr.cli.options import AsJson, GalleryPath, Identity
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from mfr.gallery.people import EnrolledPerson


def people(
    path: GalleryPath,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only the people in this group.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List people with what is noted of them: numbers, external ids, groups, metadata, consent.

    Example: mfr gallery people GALLERY --group staff
    """
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        found = gallery.people.all(group=group)
    if as_json:
        print_json([_fields(each) for each in found])
        return
    table = Table(
        "Id", "Identity", "Name", "External id", "Groups", "Metadata", "Consent", "Changed"
    )
    for person in found:
        details = person.details
        metadata = json.dumps(dict(details.metadata)) if details.metadata else ""
        table.add_row(
            str(person.id),
            *map(Text, (person.identity, details.display_name, details.external_id)),
            Text(", ".join(sorted(details.groups))),
            *map(Text, (metadata, details.consent)),
            person.changed,
        )
    print_table(table)


def describe(
    path: GalleryPath,
    identity: Identity,
    display_name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What to call the person.")
    ] = None,
    external_id: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The person's key in another system.")
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="JSON", help="A JSON object of your own, up to 16 KB.")
    ] = None,
    consent: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the person agreed to, when and how.")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A group the person is in from now on; may be repeated."),
    ] = None,
    no_groups: Annotated[
        bool, typer.Option("--no-groups", help="Take the person out of all groups first.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Note something of a person; what is not named stays as it is, an empty text takes it away.

    Example: mfr gallery describe GALLERY ada --external-id 4711 --group staff
    """
    from mfr.gallery import Gallery

    given: dict[str, Any] = {
        "display_name": display_name,
        "external_id": external_id,
        "metadata": None if metadata is None else _object(metadata),
        "consent": consent,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    with Gallery.open(path) as gallery:
        if group or no_groups:
            before = gallery.people.get(identity).details.groups
            fields["groups"] = (frozenset() if no_groups else before) | frozenset(group or ())
        if not fields:
            raise ConfigError("Nothing to note was given: see 'mfr gallery describe --help'.")
        person = gallery.people.change(identity, **fields)
    if as_json:
        print_json(_fields(person))
    else:
        say(f"Noted of {person.identity}: {', '.join(sorted(fields))}.")


def _fields(person: EnrolledPerson) -> dict[str, Any]:
    details = {**vars(person.details), "groups": sorted(person.details.groups)}
    return {**vars(person), "details": details}


def _object(text: str) -> Any:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--metadata is no JSON ({error}): correct it.") from error
    if not isinstance(found, dict):
        raise ConfigError("--metadata is no JSON object like '{\"desk\": 4}': correct it.")
    return found
