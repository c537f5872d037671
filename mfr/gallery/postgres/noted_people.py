"""What a collection keeps of people besides their templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from mfr.errors import GalleryDamagedError
from mfr.gallery.people import Details, EnrolledPerson, external_id_taken
from mfr.gallery.postgres.collection import Collection
from mfr.gallery.rows import Rows

_COLUMNS: Final = "id, name, label, details, sealed, enrolled, changed"


def is_described(connection: psycopg.Connection[Any], identity: int) -> bool:
    """Whether anything was noted of an identity, be it damaged."""
    row = connection.execute(
        "SELECT details <> '' OR sealed <> '' FROM mfr.identities WHERE id = %s", (identity,)
    ).fetchone()
    return row is not None and bool(row[0])


def describe(
    connection: psycopg.Connection[Any],
    collection: Collection,
    identity: int,
    details: Details,
    now: str,
    rows: Rows,
) -> None:
    """Put ``details`` in the place of an identity's former ones.

    Args:
        connection: holds the lock of the collection.
        collection: whose identity.
        identity: its number.
        details: as `mfr.gallery.people.checked` gives them.
        now: the present time, UTC, ISO 8601.
        rows: how they lie in the table.

    Raises:
        GalleryError: the external id is another person's.
    """
    external = rows.key("external id", details.external_id) if details.external_id else ""
    taken = (
        external
        and connection.execute(
            "SELECT id, name, label FROM mfr.identities "
            "WHERE external_id = %s AND external_id <> '' AND collection_id = %s AND id <> %s",
            (external, collection.id, identity),
        ).fetchone()
    )
    if taken:
        raise external_id_taken(details.external_id, rows.name_of(*taken))
    stored = rows.details_for(identity, details)
    text, sealed = ("", stored) if isinstance(stored, bytes) else (stored, b"")
    connection.execute(
        "UPDATE mfr.identities SET external_id = %s, details = %s, sealed = %s, changed = %s "
        "WHERE id = %s",
        (external, text, sealed, now, identity),
    )
    connection.execute("DELETE FROM mfr.memberships WHERE identity_id = %s", (identity,))
    connection.execute(
        "INSERT INTO mfr.memberships (collection_id, identity_id, group_name) "
        "SELECT %s, %s, unnest(%s::text[])",
        (collection.id, identity, [rows.key("group", group) for group in sorted(details.groups)]),
    )


def everybody(
    connection: psycopg.Connection[Any], collection: Collection, rows: Rows
) -> list[EnrolledPerson]:
    """What is known of everybody, in the order of the names' code points; in one view.

    Raises:
        GalleryDamagedError: somebody's details are not what was stored.
    """
    # Joined here, as `identities.summaries` does.
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM mfr.identities WHERE collection_id = %s".encode(),
        (collection.id,),
    ).fetchall()
    counted = connection.execute(
        "SELECT identity_id, count(*) FROM mfr.templates WHERE collection_id = %s "
        "GROUP BY identity_id",
        (collection.id,),
    ).fetchall()
    templates: dict[int, int] = dict(counted)
    people = [_person(row, templates[row[0]], rows) for row in found if row[0] in templates]
    return sorted(people, key=lambda each: each.identity)


def counts(connection: psycopg.Connection[Any], collection: Collection) -> tuple[int, int]:
    """How many identities and templates a collection has."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM mfr.identities WHERE collection_id = %(it)s), "
        "(SELECT count(*) FROM mfr.templates WHERE collection_id = %(it)s)",
        {"it": collection.id},
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def some(
    connection: psycopg.Connection[Any],
    collection: Collection,
    after: int,
    limit: int,
    rows: Rows,
) -> list[EnrolledPerson]:
    """The first ``limit`` people with numbers beyond ``after``. Raises as `everybody`."""
    found = connection.execute(
        f"SELECT {_COLUMNS}, "
        "(SELECT count(*) FROM mfr.templates WHERE identity_id = identities.id) "
        "FROM mfr.identities WHERE collection_id = %s AND id > %s ORDER BY id LIMIT %s".encode(),
        (collection.id, after, limit),
    ).fetchall()
    return [_person(row[:-1], row[-1], rows) for row in found]


def one(connection: psycopg.Connection[Any], identity: int, rows: Rows) -> EnrolledPerson:
    """What is known of one identity, by its number. Raises as `everybody`."""
    row = connection.execute(
        f"SELECT {_COLUMNS}, "
        "(SELECT count(*) FROM mfr.templates WHERE identity_id = identities.id) "
        "FROM mfr.identities WHERE id = %s".encode(),
        (identity,),
    ).fetchone()
    assert row is not None
    return _person(row[:-1], row[-1], rows)


def owner_of(
    connection: psycopg.Connection[Any], collection: Collection, external_id: str, rows: Rows
) -> int | None:
    """The number of whose external id it is, if anybody's."""
    if not external_id:
        return None
    row = connection.execute(
        "SELECT id FROM mfr.identities "
        "WHERE external_id = %s AND external_id <> '' AND collection_id = %s",
        (rows.key("external id", external_id), collection.id),
    ).fetchone()
    return None if row is None else int(row[0])


def members(
    connection: psycopg.Connection[Any], collection: Collection, group: str, rows: Rows
) -> list[str]:
    """The names of the people in a group, in order."""
    found = connection.execute(
        "SELECT identities.id, name, label FROM mfr.memberships "
        "JOIN mfr.identities ON identities.id = identity_id "
        "WHERE group_name = %s AND memberships.collection_id = %s",
        (rows.key("group", group), collection.id),
    ).fetchall()
    return sorted(rows.name_of(*each) for each in found)


def _person(row: Sequence[Any], templates: int, rows: Rows) -> EnrolledPerson:
    number, key, label, details, sealed, created, changed = row
    name = rows.name_of(number, key, label)
    try:
        known = rows.details_of(number, sealed or details)
    except ValueError as error:
        raise GalleryDamagedError(
            f"What is noted of '{name}' is damaged: note it again with 'mfr gallery describe', or "
            "restore the database from a backup."
        ) from error
    return EnrolledPerson(number, name, known, templates, created, changed)
