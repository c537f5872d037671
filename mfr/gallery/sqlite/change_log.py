"""Which state the file is in, and what leads there from an earlier one.

A stamp is ``generation-token``: how many changes there have been, and something random. The table
`changes` keeps the token of each generation, so a stamp of another history (a restored backup that
was then changed otherwise) is not taken for one of this file's.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

REMEMBERED: Final = 65_536
"""How many changes are remembered; a copy that is further behind is made anew."""


_TABLES: Final = (
    # As ids rise, last_id, the largest there has been, tells which templates came later.
    """
    CREATE TABLE changes (
        generation INTEGER PRIMARY KEY,
        token TEXT NOT NULL,
        last_id INTEGER NOT NULL
    )
    """,
    "CREATE TABLE removals (template_id INTEGER PRIMARY KEY, generation INTEGER NOT NULL)",
    "CREATE INDEX removals_by_generation ON removals (generation)",
)


@dataclass(frozen=True)
class Difference:
    """What happened since an earlier state.

    Attributes:
        last_id: templates with larger ids are new.
        removed: ids of templates of the earlier state that are gone, rising.
    """

    last_id: int
    removed: list[int]


def begin(connection: sqlite3.Connection) -> None:
    """Make the tables and record the present state, the first that is known."""
    for table in _TABLES:
        connection.execute(table)
    _record(connection, *_state(connection))


def advance(connection: sqlite3.Connection, removed: Sequence[int] = ()) -> None:
    """Give the file a new stamp, in the transaction that has changed its templates.

    Args:
        removed: ids of the templates that the change removes.
    """
    generation, token = _state(connection)[0] + 1, secrets.token_hex(8)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'stamp'", (f"{generation}-{token}",))
    _record(connection, generation, token)
    connection.executemany(
        "INSERT INTO removals VALUES (?, ?)", [(number, generation) for number in removed]
    )
    forgotten = generation - REMEMBERED
    connection.execute("DELETE FROM changes WHERE generation <= ?", (forgotten,))
    connection.execute("DELETE FROM removals WHERE generation <= ?", (forgotten,))


def difference(connection: sqlite3.Connection, since: str) -> Difference | None:
    """What happened since the state ``since``; None when the file does not know that state."""
    parsed = _parsed(since)
    if parsed is None:
        return None
    then, token = parsed
    known = connection.execute(
        "SELECT last_id FROM changes WHERE generation = ? AND token = ?", (then, token)
    ).fetchone()
    # A program of format 1 that still has the file open changes it without a record; a gap in the
    # generations shows it.
    recorded = connection.execute(
        "SELECT COUNT(*) FROM changes WHERE generation > ?", (then,)
    ).fetchone()[0]
    if known is None or recorded != _state(connection)[0] - then:
        return None
    rows = connection.execute(
        "SELECT template_id FROM removals WHERE generation > ? AND template_id <= ? "
        "ORDER BY template_id",
        (then, known[0]),
    ).fetchall()
    return Difference(known[0], [row[0] for row in rows])


def _record(connection: sqlite3.Connection, generation: int, token: str) -> None:
    connection.execute(
        "INSERT INTO changes VALUES (?, ?, "
        "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'templates'), 0))",
        (generation, token),
    )


def _state(connection: sqlite3.Connection) -> tuple[int, str]:
    """The generation and the token of the present stamp.

    Raises:
        sqlite3.DatabaseError: there is no such stamp, so the file is damaged.
    """
    row = connection.execute("SELECT value FROM meta WHERE key = 'stamp'").fetchone()
    state = None if row is None else _parsed(row[0])
    if state is None:
        raise sqlite3.DatabaseError("the gallery has no stamp")
    return state


def _parsed(stamp: str) -> tuple[int, str] | None:
    generation, _, token = stamp.partition("-")
    # Of at most 18 digits, so that SQLite can hold it.
    if not (generation.isascii() and generation.isdigit() and len(generation) < 19):
        return None
    return int(generation), token
