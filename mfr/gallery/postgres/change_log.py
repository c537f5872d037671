"""Which state a collection is in, and what leads there from an earlier one.

A stamp is ``generation-token``: how many changes there have been, and something random. The table
`changes` keeps the token of each generation, so a stamp of another history (a restored backup that
was then changed otherwise) is not taken for one of this collection's.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

REMEMBERED: Final = 65_536
"""How many changes are remembered; a copy that is further behind is made anew."""

_LARGEST: Final = 2**63 - 1

_STATE: Final = (
    "SELECT generation, token, last_id, templates, indexed, encryption FROM mfr.collections"
)


@dataclass(frozen=True)
class State:
    """A state of a collection.

    Attributes:
        generation: how many changes led to it.
        token: something random.
        last_id: the largest id that there has been.
        templates: how many there are.
        indexed: whether embeddings are kept in half precision too.
        encryption: the number of the encryption; empty for none.
    """

    generation: int
    token: str
    last_id: int
    templates: int
    indexed: bool
    encryption: str

    @property
    def stamp(self) -> str:
        """What names the state."""
        return f"{self.generation}-{self.token}"


@dataclass(frozen=True)
class Difference:
    """What happened since an earlier state.

    Attributes:
        last_id: templates with larger ids are new.
        removed: ids of templates of the earlier state that are gone, rising.
    """

    last_id: int
    removed: list[int]


def new_token() -> str:
    """Something random, which no other state has."""
    return secrets.token_hex(8)


def state(connection: psycopg.Connection[Any], collection: int) -> State | None:
    """The present state; None where the collection is gone."""
    row = connection.execute(f"{_STATE} WHERE id = %s".encode(), (collection,)).fetchone()
    return None if row is None else State(*row)


def locked_state(connection: psycopg.Connection[Any], collection: int) -> State | None:
    """As `state`, and nobody else changes the collection until the transaction's end."""
    row = connection.execute(
        f"{_STATE} WHERE id = %s FOR NO KEY UPDATE".encode(), (collection,)
    ).fetchone()
    return None if row is None else State(*row)


def advance(
    connection: psycopg.Connection[Any],
    collection: int,
    before: State,
    *,
    added: int = 0,
    removed: Sequence[int] = (),
) -> None:
    """Give the collection a new stamp, in the transaction that has changed its templates.

    Args:
        connection: holds the lock of `locked_state`.
        collection: its number.
        before: the state before the change.
        added: how many templates the change adds, with the ids that follow the largest.
        removed: ids of the templates that the change removes.
    """
    last_id = before.last_id + added
    generation, token = before.generation + 1, new_token()
    connection.execute(
        "UPDATE mfr.collections SET generation = %s, token = %s, last_id = %s, templates = %s "
        "WHERE id = %s",
        (generation, token, last_id, before.templates + added - len(removed), collection),
    )
    record(connection, collection, generation, token, last_id=last_id)
    if removed:
        connection.execute(
            "INSERT INTO mfr.removals SELECT %s, %s, unnest(%s::bigint[])",
            (collection, generation, list(removed)),
        )
    forgotten = generation - REMEMBERED
    if forgotten > 0:
        for table in ("changes", "removals"):
            connection.execute(
                f"DELETE FROM mfr.{table} WHERE collection_id = %s AND generation <= %s",
                (collection, forgotten),
            )


def record(
    connection: psycopg.Connection[Any],
    collection: int,
    generation: int,
    token: str,
    *,
    last_id: int,
) -> None:
    """Remember the stamp of a state."""
    connection.execute(
        "INSERT INTO mfr.changes VALUES (%s, %s, %s, %s)", (collection, generation, token, last_id)
    )


def difference(
    connection: psycopg.Connection[Any], collection: int, since: str
) -> Difference | None:
    """What happened since the state ``since``; None when that state is not known."""
    generation, _, token = since.partition("-")
    if not (since.isascii() and generation.isdigit() and token.isalnum()):
        return None
    if int(generation) > _LARGEST:
        return None
    known = connection.execute(
        "SELECT last_id FROM mfr.changes "
        "WHERE collection_id = %s AND generation = %s AND token = %s",
        (collection, int(generation), token),
    ).fetchone()
    if known is None:
        return None
    rows = connection.execute(
        "SELECT template_id FROM mfr.removals "
        "WHERE collection_id = %s AND generation > %s AND template_id <= %s ORDER BY template_id",
        (collection, int(generation), known[0]),
    ).fetchall()
    return Difference(known[0], [row[0] for row in rows])
