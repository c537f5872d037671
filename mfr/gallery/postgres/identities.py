"""The identities of a collection: found, listed, and removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from mfr.gallery.postgres.collection import Collection
from mfr.gallery.records import IdentitySummary
from mfr.gallery.rows import Rows


def number_of(
    connection: psycopg.Connection[Any], collection: Collection, name: str, rows: Rows
) -> int | None:
    """The number of the identity ``name``, if there is one."""
    row = connection.execute(
        "SELECT id FROM mfr.identities WHERE collection_id = %s AND name = %s",
        (collection.id, rows.key("name", name)),
    ).fetchone()
    if row is None and "\\x" in name:  # a damaged name, as it is shown
        every = connection.execute(
            "SELECT id, name, label FROM mfr.identities WHERE collection_id = %s", (collection.id,)
        )
        row = next((each for each in every if rows.name_of(*each) == name), None)
    return None if row is None else int(row[0])


def summaries(
    connection: psycopg.Connection[Any], collection: Collection, rows: Rows
) -> list[IdentitySummary]:
    """Who is enrolled, in the order of the names' code points; in one view of the tables."""
    # Joined here: PostgreSQL may join large tables row by row while it has no statistics of them.
    people = connection.execute(
        "SELECT id, name, label FROM mfr.identities WHERE collection_id = %s", (collection.id,)
    ).fetchall()
    kept = connection.execute(
        "SELECT identity_id, count(*), min(enrolled), max(enrolled) FROM mfr.templates "
        "WHERE collection_id = %s GROUP BY identity_id",
        (collection.id,),
    ).fetchall()
    by_identity = {owner: rest for owner, *rest in kept}
    found = [
        IdentitySummary(rows.name_of(*each), *by_identity[each[0]])
        for each in people
        if each[0] in by_identity
    ]
    return sorted(found, key=lambda each: each.identity)


def owners_of_photos(
    connection: psycopg.Connection[Any],
    collection: Collection,
    digests: Sequence[str],
    rows: Rows,
) -> dict[str, list[str]]:
    """Under which names photos are enrolled, by the photos' SHA-256; others are left out."""
    asked = {rows.key("photo", digest): digest for digest in digests}
    found = connection.execute(
        "SELECT photo_sha256, identities.id, name, label FROM mfr.templates "
        "JOIN mfr.identities ON identities.id = identity_id "
        "WHERE templates.collection_id = %s AND photo_sha256 = ANY(%s)",
        (collection.id, list(asked)),
    ).fetchall()
    owners: dict[str, list[str]] = {}
    for key, *owner in found:
        owners.setdefault(asked[key], []).append(rows.name_of(*owner))
    return {digest: sorted(names) for digest, names in owners.items()}


def remove(
    connection: psycopg.Connection[Any], identity: int, template_id: int | None, now: str
) -> list[int]:
    """Delete an identity's templates, or one of them, and the identity if that leaves it none.

    Args:
        connection: holds the lock of the collection.
        identity: its number.
        template_id: the number of one of its templates; None for all.
        now: the present time, UTC, ISO 8601.

    Returns:
        The numbers of the templates that are gone.
    """
    rows = connection.execute(
        "DELETE FROM mfr.templates WHERE identity_id = %s AND id = coalesce(%s::bigint, id) "
        "RETURNING id",
        (identity, template_id),
    ).fetchall()
    connection.execute("UPDATE mfr.identities SET changed = %s WHERE id = %s", (now, identity))
    connection.execute(
        "DELETE FROM mfr.identities WHERE id = %s "
        "AND NOT EXISTS (SELECT FROM mfr.templates WHERE identity_id = %s)",
        (identity, identity),
    )
    return [row[0] for row in rows]
