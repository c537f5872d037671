"""What a collection keeps of people besides their templates, and its audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import psycopg

from mfr.errors import GalleryDamagedError, GalleryError
from mfr.gallery.audit import BEGINNING, AuditEntry, linked
from mfr.gallery.people import Details, EnrolledPerson, details_from, details_text
from mfr.gallery.postgres.collection import Collection


def read(
    connection: psycopg.Connection[Any],
    collection: Collection,
    where: str = "true",
    values: Sequence[Any] = (),
) -> list[EnrolledPerson]:
    """The people of whom ``where`` is true, in the order of their names' code points.

    Raises:
        GalleryDamagedError: somebody's details are not what was stored.
    """
    rows = connection.execute(
        "SELECT identities.id, name, details, identities.enrolled, changed, "
        "(SELECT count(*) FROM mfr.templates WHERE identity_id = identities.id) "
        f"FROM mfr.identities WHERE collection_id = %s AND {where} ORDER BY name".encode(),
        (collection.id, *values),
    ).fetchall()
    people = []
    for person, name, details, created, changed, templates in rows:
        try:
            known = details_from(details)
        except ValueError as error:
            raise GalleryDamagedError(
                f"What is noted of '{name}' is damaged: note it again with 'mfr gallery describe', "
                "or restore the database from a backup."
            ) from error
        people.append(EnrolledPerson(person, name, known, templates, created, changed or created))
    return people


def describe(
    connection: psycopg.Connection[Any],
    collection: Collection,
    person: int,
    details: Details,
) -> None:
    """Put ``details`` in the place of a person's former ones, with the collection's lock held.

    Raises:
        GalleryError: the external id is another person's.
    """
    if details.external_id:
        taken = connection.execute(
            "SELECT name FROM mfr.identities "
            "WHERE collection_id = %s AND external_id = %s AND id <> %s",
            (collection.id, details.external_id, person),
        ).fetchone()
        if taken is not None:
            raise GalleryError(
                f"The external id '{details.external_id}' is that of '{taken[0]}': no two people "
                "have the same one."
            )
    connection.execute(
        "UPDATE mfr.identities SET external_id = %s, details = %s WHERE id = %s",
        (details.external_id or None, details_text(details), person),
    )
    connection.execute("DELETE FROM mfr.memberships WHERE identity_id = %s", (person,))
    connection.execute(
        "INSERT INTO mfr.memberships (collection_id, group_name, identity_id) "
        "SELECT %s, unnest(%s::text[]), %s",
        (collection.id, sorted(details.groups), person),
    )
    touch(connection, person)


def touch(connection: psycopg.Connection[Any], person: int) -> None:
    """Note that a person's templates or details changed."""
    connection.execute("UPDATE mfr.identities SET changed = %s WHERE id = %s", (_now(), person))


def members(connection: psycopg.Connection[Any], collection: Collection, group: str) -> list[str]:
    """The names of the people in a group, in order."""
    rows = connection.execute(
        "SELECT name FROM mfr.memberships JOIN mfr.identities ON identities.id = identity_id "
        "WHERE memberships.collection_id = %s AND group_name = %s ORDER BY name",
        (collection.id, group),
    )
    return [row[0] for row in rows.fetchall()]


def log(
    connection: psycopg.Connection[Any],
    collection: Collection,
    actor: str,
    event: str,
    person: int | None,
    facts: Mapping[str, Any],
) -> None:
    """Add an entry to the audit log, with the collection's lock held."""
    last = connection.execute(
        "SELECT number, link FROM mfr.audit WHERE collection_id = %s ORDER BY number DESC LIMIT 1",
        (collection.id,),
    ).fetchone()
    number, before = (0, BEGINNING) if last is None else last
    entry = AuditEntry(number + 1, _now(), actor, event, person, facts)
    entry = replace(entry, link=linked(entry, before, b""))
    connection.execute(
        "INSERT INTO mfr.audit VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            collection.id,
            entry.number,
            entry.at,
            actor,
            event,
            person,
            json.dumps(dict(facts), sort_keys=True),
            entry.link,
        ),
    )


def entries(
    connection: psycopg.Connection[Any], collection: Collection, after: int
) -> list[AuditEntry]:
    """The entries of the audit log with numbers beyond ``after``, in order."""
    rows = connection.execute(
        "SELECT number, at, actor, event, person, facts, link FROM mfr.audit "
        "WHERE collection_id = %s AND number > %s ORDER BY number",
        (collection.id, after),
    ).fetchall()
    return [
        AuditEntry(number, at, actor, event, person, _facts(facts), link)
        for number, at, actor, event, person, facts, link in rows
    ]


def _facts(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"damaged": text}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
