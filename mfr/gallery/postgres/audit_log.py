"""The audit log of a collection: entries are added in the transaction of what they tell of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg

from mfr.gallery.audit import AuditEntry, chained_anew, entry_of, row_after
from mfr.gallery.postgres.collection import Collection

_LOCK: Final = 0x4D465247 << 32
"""Who adds an entry holds the advisory lock of this number and the collection's: readers, who may
log decisions, cannot lock the collection's row."""


def lock(connection: psycopg.Connection[Any], collection: Collection) -> None:
    """Let nobody else add to the log, nor encrypt the collection, until the transaction's end."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK + collection.id,))


def append(
    connection: psycopg.Connection[Any],
    collection: Collection,
    at: str,
    actor: str,
    event: str,
    person: int | None,
    facts: Mapping[str, Any],
    key: bytes,
) -> None:
    """Add an entry, in a transaction that writes.

    Args:
        connection: in the transaction.
        collection: whose log.
        at: when, UTC, ISO 8601.
        actor: who.
        event: what.
        person: the number of the person whom it is about, if any.
        facts: more of it.
        key: of the chain.
    """
    lock(connection, collection)
    last = connection.execute(
        "SELECT number, link FROM mfr.audit WHERE collection_id = %s ORDER BY number DESC LIMIT 1",
        (collection.id,),
    ).fetchone()
    connection.execute(
        "INSERT INTO mfr.audit VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (collection.id, *row_after(last, at, actor, event, person, facts, key)),
    )


def entries(
    connection: psycopg.Connection[Any], collection: Collection, after: int
) -> list[AuditEntry]:
    """The entries with larger numbers, in order."""
    rows = connection.execute(
        "SELECT number, at, actor, event, person, facts, link FROM mfr.audit "
        "WHERE collection_id = %s AND number > %s ORDER BY number",
        (collection.id, after),
    ).fetchall()
    return [entry_of(row) for row in rows]


def chain_anew(connection: psycopg.Connection[Any], collection: Collection, key: bytes) -> None:
    """Chain all entries with another key, where a collection is encrypted."""
    lock(connection, collection)
    links = chained_anew(entries(connection, collection, 0), key)
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE mfr.audit SET link = %s WHERE collection_id = %s AND number = %s",
            [(link, collection.id, number) for number, link in links],
        )
