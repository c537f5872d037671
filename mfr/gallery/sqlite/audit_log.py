"""The audit log in a gallery file: entries are added in the transaction of what they tell of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mfr.gallery.audit import AuditEntry, chained_anew, entry_of, row_after

TABLE: Final = """
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        actor TEXT NOT NULL,
        event TEXT NOT NULL,
        person INTEGER,
        facts TEXT NOT NULL,
        link TEXT NOT NULL
    )
    """


def append(
    connection: sqlite3.Connection,
    at: str,
    actor: str,
    event: str,
    person: int | None,
    facts: Mapping[str, Any],
    key: bytes,
) -> None:
    """Add an entry, in a transaction that writes.

    Args:
        at: when, UTC, ISO 8601.
        actor: who.
        event: what.
        person: the number of the person whom it is about, if any.
        facts: more of it.
        key: of the chain.
    """
    last = connection.execute(
        "SELECT number, link FROM audit ORDER BY number DESC LIMIT 1"
    ).fetchone()
    connection.execute(
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)",
        row_after(last, at, actor, event, person, facts, key),
    )


def entries(connection: sqlite3.Connection, after: int) -> Iterator[AuditEntry]:
    """The entries with larger numbers, in order.

    Raises:
        sqlite3.DatabaseError: one cannot be read.
    """
    rows = connection.execute(
        "SELECT number, at, actor, event, person, facts, link FROM audit WHERE number > ? "
        "ORDER BY number",
        (after,),
    )
    yield from map(entry_of, rows)


def chain_anew(connection: sqlite3.Connection, key: bytes) -> None:
    """Chain all entries with another key, where a gallery is encrypted."""
    for number, link in chained_anew(list(entries(connection, 0)), key):
        connection.execute("UPDATE audit SET link = ? WHERE number = ?", (link, number))
