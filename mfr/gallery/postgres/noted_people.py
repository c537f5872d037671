"""What a collection keeps of people besides their templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from mfr.errors import GalleryDamagedError, GalleryError
from mfr.gallery.people import Details, EnrolledPerson, details_from, details_text
from mfr.gallery.postgres.collection import Collection


def is_described(connection: psycopg.Connection[Any], identity: int) -> bool:
    """Whether anything was noted of an identity, be it damaged."""
    row = connection.execute(
        "SELECT details <> '' FROM mfr.identities WHERE id = %s", (identity,)
    ).fetchone()
    return row is not None and bool(row[0])


def describe(
    connection: psycopg.Connection[Any],
    collection: Collection,
    identity: int,
    details: Details,
    now: str,
) -> None:
    """Put ``details`` in the place of an identity's former ones.

    Args:
        connection: holds the lock of the collection.
        collection: whose identity.
        identity: its number.
        details: as `mfr.gallery.people.checked` gives them.
        now: the present time, UTC, ISO 8601.

    Raises:
        GalleryError: the external id is another person's.
    """
    taken = (
        details.external_id
        and connection.execute(
            "SELECT name FROM mfr.identities "
            "WHERE external_id = %s AND external_id <> '' AND collection_id = %s AND id <> %s",
            (details.external_id, collection.id, identity),
        ).fetchone()
    )
    if taken:
        raise GalleryError(
            f"The external id '{details.external_id}' is that of '{taken[0]}': no two people have "
            "the same one."
        )
    connection.execute(
        "UPDATE mfr.identities SET external_id = %s, details = %s, changed = %s WHERE id = %s",
        (details.external_id, details_text(details), now, identity),
    )
    connection.execute("DELETE FROM mfr.memberships WHERE identity_id = %s", (identity,))
    connection.execute(
        "INSERT INTO mfr.memberships (collection_id, identity_id, group_name) "
        "SELECT %s, %s, unnest(%s::text[])",
        (collection.id, identity, sorted(details.groups)),
    )


def everybody(connection: psycopg.Connection[Any], collection: Collection) -> list[EnrolledPerson]:
    """What is known of everybody, in the order of the names' code points; in one view.

    Raises:
        GalleryDamagedError: somebody's details are not what was stored.
    """
    # Joined here, as `identities.summaries` does.
    rows = connection.execute(
        "SELECT id, name, details, enrolled, changed FROM mfr.identities "
        "WHERE collection_id = %s ORDER BY name",
        (collection.id,),
    ).fetchall()
    counted = connection.execute(
        "SELECT identity_id, count(*) FROM mfr.templates WHERE collection_id = %s "
        "GROUP BY identity_id",
        (collection.id,),
    ).fetchall()
    templates: dict[int, int] = dict(counted)
    return [_person(row, templates[row[0]]) for row in rows if row[0] in templates]


def some(
    connection: psycopg.Connection[Any], collection: Collection, after: int, limit: int
) -> list[EnrolledPerson]:
    """The first ``limit`` people with numbers beyond ``after``. Raises as `everybody`."""
    rows = connection.execute(
        "SELECT id, name, details, enrolled, changed, "
        "(SELECT count(*) FROM mfr.templates WHERE identity_id = identities.id) "
        "FROM mfr.identities WHERE collection_id = %s AND id > %s ORDER BY id LIMIT %s",
        (collection.id, after, limit),
    ).fetchall()
    return [_person(row[:5], row[5]) for row in rows]


def one(connection: psycopg.Connection[Any], identity: int) -> EnrolledPerson:
    """What is known of one identity, by its number. Raises as `everybody`."""
    row = connection.execute(
        "SELECT id, name, details, enrolled, changed, "
        "(SELECT count(*) FROM mfr.templates WHERE identity_id = identities.id) "
        "FROM mfr.identities WHERE id = %s",
        (identity,),
    ).fetchone()
    assert row is not None
    return _person(row[:5], row[5])


def owner_of(
    connection: psycopg.Connection[Any], collection: Collection, external_id: str
) -> int | None:
    """The number of whose external id it is, if anybody's."""
    row = connection.execute(
        "SELECT id FROM mfr.identities "
        "WHERE external_id = %s AND external_id <> '' AND collection_id = %s",
        (external_id, collection.id),
    ).fetchone()
    return None if row is None else int(row[0])


def members(connection: psycopg.Connection[Any], collection: Collection, group: str) -> list[str]:
    """The names of the people in a group, in order."""
    rows = connection.execute(
        "SELECT name FROM mfr.memberships JOIN mfr.identities ON identities.id = identity_id "
        "WHERE group_name = %s AND memberships.collection_id = %s ORDER BY name",
        (group, collection.id),
    ).fetchall()
    return [row[0] for row in rows]


def _person(row: Sequence[Any], templates: int) -> EnrolledPerson:
    number, name, details, created, changed = row
    try:
        known = details_from(details)
    except ValueError as error:
        raise GalleryDamagedError(
            f"What is noted of '{name}' is damaged: note it again with 'mfr gallery describe', or "
            "restore the database from a backup."
        ) from error
    return EnrolledPerson(number, name, known, templates, created, changed)
